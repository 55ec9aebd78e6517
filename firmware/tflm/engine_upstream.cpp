// The engine over today's TensorFlow Lite Micro, in a library that the user has built (docs/upstream.md). All that
// depends on its API is in this file.
#include <algorithm>
#include <cstdarg>
#include <cstring>
#include <new>
#include <type_traits>
#include <utility>

#include "base/log.h"
#include "port/port.h"
#include "tensorflow/lite/micro/arena_allocator/single_arena_buffer_allocator.h"
#include "tensorflow/lite/micro/compatibility.h"
#include "tensorflow/lite/micro/debug_log.h"
#include "tensorflow/lite/micro/memory_planner/greedy_memory_planner.h"
#include "tensorflow/lite/micro/micro_allocator.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"
#include "tensorflow/lite/micro/micro_profiler_interface.h"
#include "tensorflow/lite/micro/micro_resource_variable.h"
#include "tensorflow/lite/schema/schema_generated.h"
#include "tensorflow/lite/schema/schema_utils.h"
#include "tflm/consistent.h"
#include "tflm/engine.h"
#include "tflm/needed.h"
#include "tflm/slot.h"
#include "tflm/smallest_arena.h"

extern "C" {
// Where the model that runs lies, and the arena that the interpreter was given: address and bytes of each. The host
// reads it (docs/link.md), and nothing here does.
volatile uint32_t hil_engine[4];

// By its name the host knows whose kernels an image has.
volatile uint8_t hil_engine_upstream;
}

namespace hil {
namespace {

constexpr uint32_t kSchemaVersion = 3;
constexpr size_t kMostOperators = 160;  // builtin and custom ones of the library together

// ---- log
// -------------------------------------------------------------------------------------------------------------

bool log_muted = false;

// The part of printf that TFLM's messages use. The C library's would bring its heap along.
class Formatter {
 public:
  Formatter(char* buffer, size_t size) : at_(buffer), begin_(buffer), end_(buffer + size - 1) {}

  int Format(const char* format, va_list arguments) {
    va_list rest;
    va_copy(rest, arguments);
    for (; *format != '\0'; ++format) {
      if (*format != '%') {
        Put(*format);
        continue;
      }
      format += 1 + std::strspn(format + 1, "-+ #0123456789.");
      const size_t longs = std::strspn(format, "lzjt");
      format += longs;
      if (*format == '\0') {
        break;
      }
      Convert(*format, longs, &rest);
    }
    va_end(rest);
    *at_ = '\0';
    return static_cast<int>(at_ - begin_);
  }

 private:
  void Convert(char kind, size_t longs, va_list* arguments) {
    switch (kind) {
      case 'd':
      case 'i':
        Signed(longs > 1   ? va_arg(*arguments, long long)
               : longs > 0 ? va_arg(*arguments, long)
                           : va_arg(*arguments, int));
        break;
      case 'u':
      case 'x':
      case 'X':
        Unsigned(longs > 1   ? va_arg(*arguments, unsigned long long)
                 : longs > 0 ? va_arg(*arguments, unsigned long)
                             : va_arg(*arguments, unsigned),
                 kind == 'u' ? 10 : 16);
        break;
      case 'p':
        Unsigned(reinterpret_cast<uintptr_t>(va_arg(*arguments, void*)), 16);
        break;
      case 'c':
        Put(static_cast<char>(va_arg(*arguments, int)));
        break;
      case 's':
        for (const char* text = va_arg(*arguments, const char*); text != nullptr && *text != '\0'; ++text) {
          Put(*text);
        }
        break;
      case 'e':
      case 'f':
      case 'g':
        Real(va_arg(*arguments, double));
        break;
      default:
        Put(kind);
    }
  }

  void Put(char letter) {
    if (at_ < end_) {
      *at_++ = letter;
    }
  }

  void Signed(long long value) {
    if (value < 0) {
      Put('-');
    }
    Unsigned(value < 0 ? 0 - static_cast<unsigned long long>(value) : static_cast<unsigned long long>(value), 10);
  }

  void Unsigned(unsigned long long value, unsigned base) {
    char digits[20];
    size_t count = 0;
    do {
      digits[count++] = "0123456789abcdef"[value % base];
      value /= base;
    } while (value != 0);
    while (count > 0) {
      Put(digits[--count]);
    }
  }

  // Six decimals; a scale that is not near one shows few of its digits, its place in the model tells the rest.
  void Real(double value) {
    constexpr double kMost = 1e15;
    if (!(value > -kMost && value < kMost)) {
      Put('?');
      return;
    }
    if (value < 0) {
      Put('-');
    }
    const double size = value < 0 ? -value : value;
    const auto whole = static_cast<unsigned long long>(size);
    Unsigned(whole, 10);
    Put('.');
    auto rest = static_cast<unsigned>((size - static_cast<double>(whole)) * 1e6);
    for (unsigned place = 100000; place > 0; place /= 10) {
      Put(static_cast<char>('0' + rest / place % 10));
    }
  }

  char* at_;
  char* const begin_;
  char* const end_;
};

}  // namespace
}  // namespace hil

// Both stand here so that the linker takes nothing of the library's own, which may print through the C library.
extern "C" int DebugVsnprintf(char* buffer, size_t buf_size, const char* format, va_list vlist) {
  return buf_size == 0 ? 0 : hil::Formatter(buffer, buf_size).Format(format, vlist);
}

extern "C" void DebugLog(const char* format, va_list args) {
  if (!hil::log_muted) {
    char line[160];
    DebugVsnprintf(line, sizeof(line), format, args);
    hil::Log(line);
  }
}

namespace hil {
namespace {

// ---- memory
// ----------------------------------------------------------------------------------------------------------
//
// TFLM does not say why a model could not be set up. Its allocator and its planner are called through virtual
// functions, so that is seen here, whatever the library's messages are.

struct Memory {
  size_t bytes = 0;  // of the arena
  size_t limit = 0;  // how many of them may be used; less than all only while EngineSmallestArena() tries
  bool ran_out = false;
  size_t first_temporary = 0;  // size of the first one asked for
};
Memory memory;

// Kernels write through what they are given without a look, so the first that gets nothing gets this. The set-up has
// failed by then.
alignas(16) uint8_t spare[2048];

class Allocator final : public tflite::SingleArenaBufferAllocator {
 public:
  Allocator(uint8_t* buffer, size_t bytes) : SingleArenaBufferAllocator(buffer, bytes) {}

  uint8_t* AllocatePersistentBuffer(size_t size, size_t alignment) override {
    return Given(SingleArenaBufferAllocator::AllocatePersistentBuffer(size, alignment), size);
  }

  uint8_t* AllocateTemp(size_t size, size_t alignment) override {
    memory.first_temporary = memory.first_temporary == 0 ? size : memory.first_temporary;
    return Given(SingleArenaBufferAllocator::AllocateTemp(size, alignment), size);
  }

  TfLiteStatus ResizeBuffer(uint8_t* buffer, size_t size, size_t alignment) override {
    const TfLiteStatus status = SingleArenaBufferAllocator::ResizeBuffer(buffer, size, alignment);
    memory.ran_out = memory.ran_out || status != kTfLiteOk || !Fits();
    return status;
  }

  size_t GetAvailableMemory(size_t alignment) const override {
    const size_t held_back = memory.bytes - memory.limit;
    const size_t gap = Fits() ? SingleArenaBufferAllocator::GetAvailableMemory(alignment) : 0;
    return gap > held_back ? gap - held_back : 0;
  }

  Span<uint8_t> Unused() const { return Span<uint8_t>(head(), static_cast<size_t>(tail() - head())); }

 private:
  bool Fits() const { return GetNonPersistentUsedBytes() + GetPersistentUsedBytes() <= memory.limit; }

  uint8_t* Given(uint8_t* buffer, size_t size) {
    memory.ran_out = memory.ran_out || buffer == nullptr || !Fits();
    return buffer == nullptr && size <= sizeof(spare) ? spare : buffer;
  }

  TF_LITE_REMOVE_VIRTUAL_DELETE
};

class Planner final : public tflite::GreedyMemoryPlanner {
 public:
  TfLiteStatus AddBuffer(int size, int first_time_used, int last_time_used) override {
    return Note(GreedyMemoryPlanner::AddBuffer(size, first_time_used, last_time_used));
  }

  TfLiteStatus AddBuffer(int size, int first_time_used, int last_time_used, int offline_offset) override {
    return Note(GreedyMemoryPlanner::AddBuffer(size, first_time_used, last_time_used, offline_offset));
  }

 private:
  // The planner refuses a buffer only when its work space, the free part of the arena, is full.
  static TfLiteStatus Note(TfLiteStatus status) {
    memory.ran_out = memory.ran_out || status != kTfLiteOk;
    return status;
  }

  TF_LITE_REMOVE_VIRTUAL_DELETE
};

// What is in the arena before the model is looked at. Less than that, and TFLM builds its objects on nothing.
constexpr size_t kLeastArena = sizeof(Allocator) + sizeof(Planner) + sizeof(tflite::MicroAllocator) + 64;

// ---- operators
// -------------------------------------------------------------------------------------------------------

using Resolver = tflite::MicroMutableOpResolver<kMostOperators>;
using Prepare = TfLiteStatus (*)(TfLiteContext*, TfLiteNode*);

Slot<Resolver> resolver_slot;
uint8_t operator_codes[kMostOperators];  // of custom ones the code that they share
size_t operator_count = 0;
size_t registration_count = 0;
TFLMRegistration* registrations = nullptr;  // the resolver's, in the order in which they were added
Prepare original_prepare[kMostOperators];

// Adds what the library's headers have; a TFLM of another day lacks some.
template <tflite::BuiltinOperator kCode, typename Add>
void AddIfThere(Resolver* resolver, const Add& add) {
  if constexpr (Needed(kCode) && std::is_invocable_v<Add, Resolver&>) {
    if (add(*resolver) == kTfLiteOk) {
      ++registration_count;
      // All custom ones have one code.
      if (kCode != tflite::BuiltinOperator_CUSTOM || operator_count == 0 ||
          operator_codes[operator_count - 1] != kCode) {
        operator_codes[operator_count++] = static_cast<uint8_t>(kCode);
      }
    }
  }
}

// When memory runs out in a kernel's init, TFLM goes on to the next one's. None may then be prepared: what they were
// given is the spare, which is not theirs alone.
TfLiteStatus GuardedPrepare(TfLiteContext* context, TfLiteNode* node) {
  static_assert(std::is_standard_layout<tflite::NodeAndRegistration>::value, "a node's address is its entry's");
  const TFLMRegistration* const held = reinterpret_cast<const tflite::NodeAndRegistration*>(node)->registration;
  return memory.ran_out ? kTfLiteError : original_prepare[held - registrations](context, node);
}

void AddOperators(Resolver* resolver) {
#define HIL_OPERATOR(code, Add) \
  AddIfThere<tflite::BuiltinOperator_##code>(resolver, [](auto& to) -> decltype(to.Add()) { return to.Add(); });
#include "upstream_library.inc"  // the rows of upstream_operators.inc that the library has
#undef HIL_OPERATOR
  // The resolver shows them as constant; the object itself, in its slot, is not.
  registrations =
      const_cast<TFLMRegistration*>(resolver->FindOp(static_cast<tflite::BuiltinOperator>(operator_codes[0])));
  for (size_t i = 0; i < registration_count; ++i) {
    if (registrations[i].prepare != nullptr) {
      original_prepare[i] = registrations[i].prepare;
      registrations[i].prepare = GuardedPrepare;
    }
  }
}

const Resolver& OperatorResolver() {
  if (resolver_slot.get() == nullptr) {
    AddOperators(&resolver_slot.Emplace());
  }
  return *resolver_slot.get();
}

const TFLMRegistration* Registered(const tflite::OperatorCode& opcode) {
  const tflite::BuiltinOperator code = tflite::GetBuiltinCode(&opcode);
  if (code != tflite::BuiltinOperator_CUSTOM) {
    return OperatorResolver().FindOp(code);
  }
  return opcode.custom_code() == nullptr ? nullptr : OperatorResolver().FindOp(opcode.custom_code()->c_str());
}

// ---- profile
// ---------------------------------------------------------------------------------------------------------

// Notes the operators of the model's first graph in their order. What one of them runs inside itself (CALL_ONCE, IF,
// WHILE) is part of its time.
class Profiler final : public tflite::MicroProfilerInterface {
 public:
  Profiler(const tflite::Model* model, OperatorLog* log) : model_(model), log_(log) {}

  uint32_t BeginEvent(const char*) override {
    if (depth_++ == 0) {
      const auto* const graph = model_->subgraphs()->Get(0);
      const auto* const op = graph->operators()->Get(index_++);
      time_.code = static_cast<uint8_t>(tflite::GetBuiltinCode(model_->operator_codes()->Get(op->opcode_index())));
      time_.begin = port::ClockNow();
    }
    return 0;
  }

  void EndEvent(uint32_t) override {
    const uint32_t now = port::ClockNow();
    if (--depth_ == 0) {
      time_.end = now;
      log_->Note(time_);
    }
  }

  void Rewind() { index_ = 0; }

 private:
  const tflite::Model* const model_;
  OperatorLog* const log_;
  uint32_t index_ = 0;
  uint32_t depth_ = 0;
  OperatorTime time_;

  TF_LITE_REMOVE_VIRTUAL_DELETE
};

Slot<Profiler> profiler_slot;
bool profiling = false;

// ---- interpreter
// -----------------------------------------------------------------------------------------------------

class Interpreter final : public tflite::MicroInterpreter {
 public:
  using MicroInterpreter::MicroInterpreter;

  // TFLM takes a profiler for good. An inference that is not profiled must not pay for one, so it is exchanged.
  void SetProfiler(tflite::MicroProfilerInterface* profiler) {
    const_cast<TfLiteContext&>(context()).profiler = profiler;
  }
};

Slot<Interpreter> interpreter_slot;
const tflite::Model* engine_model = nullptr;
const Allocator* engine_allocator = nullptr;

// The most that the model can have: each VAR_HANDLE names one.
int ResourceVariables(const tflite::Model& model) {
  int count = 0;
  for (const tflite::SubGraph* graph : *model.subgraphs()) {
    for (uint32_t i = 0; graph->operators() != nullptr && i < graph->operators()->size(); ++i) {
      const auto* const opcode = model.operator_codes()->Get(graph->operators()->Get(i)->opcode_index());
      count += tflite::GetBuiltinCode(opcode) == tflite::BuiltinOperator_VAR_HANDLE ? 1 : 0;
    }
  }
  return count;
}

// Whether the model keeps anything from run to run: in variable tensors, resource variables, or memory of an operator's
// own, as TFLM's signal operators do. Such an operator has something to do when the interpreter is reset.
bool HasState(const tflite::Model& model) {
  for (const tflite::SubGraph* graph : *model.subgraphs()) {
    for (const tflite::Tensor* tensor : *graph->tensors()) {
      if (tensor->is_variable()) {
        return true;
      }
    }
  }
  for (const tflite::OperatorCode* opcode : *model.operator_codes()) {
    if (Registered(*opcode)->reset != nullptr) {
      return true;
    }
  }
  return ResourceVariables(model) > 0;
}

bool has_state = false;
bool forgets = false;  // before each run

// Whether library and firmware mean the same by TFLM's structs: without TF_LITE_STATIC_MEMORY on one of the two sides
// they do not. The library says how large it takes one to be by what it asks its allocator for.
bool SameLayout(tflite::MicroAllocator* allocator) {
  memory.first_temporary = 0;
  TfLiteTensor* const tensor = allocator->AllocateTempTfLiteTensor(engine_model, nullptr, 0, 0);
  const bool same = memory.first_temporary == sizeof(TfLiteTensor);
  if (tensor != nullptr) {
    allocator->DeallocateTempTfLiteTensor(tensor);
    allocator->ResetTempAllocations();
  }
  return same;
}

EngineResult SetUp(Bytes model, Span<uint8_t> arena, size_t limit) {
  if (limit < kLeastArena) {
    return {EngineStatus::kArenaTooSmall};
  }
  memory = Memory{arena.size(), limit, false, 0};
  engine_model = tflite::GetModel(model.data());
  // As TFLM does it: its allocator and its planner lie in the arena that they manage.
  Allocator first(arena.data(), arena.size());
  Allocator* const allocator =
      new (first.AllocatePersistentBuffer(sizeof(Allocator), alignof(Allocator))) Allocator(first);
  Planner* const planner = new (allocator->AllocatePersistentBuffer(sizeof(Planner), alignof(Planner))) Planner();
  tflite::MicroAllocator* const micro = tflite::MicroAllocator::Create(allocator, planner);
  engine_allocator = allocator;
  if (!SameLayout(micro)) {
    LogLine("tflm: a TfLiteTensor has bytes in the library ", static_cast<uint32_t>(memory.first_temporary));
    LogLine("tflm: and in the firmware ", sizeof(TfLiteTensor));
    return {EngineStatus::kOperatorRefused, static_cast<uint32_t>(memory.first_temporary)};
  }
  const int variables = ResourceVariables(*engine_model);
  tflite::MicroResourceVariables* const resources =
      variables > 0 ? tflite::MicroResourceVariables::Create(micro, variables) : nullptr;
  Interpreter& interpreter = interpreter_slot.Emplace(engine_model, OperatorResolver(), micro, resources);
  const bool ready = interpreter.initialization_status() == kTfLiteOk && !memory.ran_out &&
                     interpreter.AllocateTensors() == kTfLiteOk && !memory.ran_out;
  if (!ready) {
    return {memory.ran_out ? EngineStatus::kArenaTooSmall : EngineStatus::kOperatorRefused};
  }
  has_state = HasState(*engine_model);
  EngineKeepState(false);
  return {};
}

// ---- tensors
// ---------------------------------------------------------------------------------------------------------

EngineTensor Describe(const TfLiteTensor& tensor, int32_t index) {
  EngineTensor described;
  described.type = static_cast<uint8_t>(engine_model->subgraphs()->Get(0)->tensors()->Get(index)->type());
  described.shape = Span<const int>(tensor.dims->data, static_cast<size_t>(tensor.dims->size));
  described.scale = tensor.params.scale;
  described.zero_point = tensor.params.zero_point;
  described.data = Span<uint8_t>(tensor.data.uint8, tensor.bytes);
  return described;
}

}  // namespace

Span<const uint8_t> EngineOperators() {
  OperatorResolver();
  return Span<const uint8_t>(operator_codes, operator_count);
}

EngineResult EngineCheckModel(Bytes model) {
  flatbuffers::Verifier verifier(model.data(), model.size());
  if (!tflite::VerifyModelBuffer(verifier)) {
    return {EngineStatus::kNotAFlatbuffer};
  }
  const tflite::Model* const root = tflite::GetModel(model.data());
  if (root->version() != kSchemaVersion) {
    return {EngineStatus::kSchemaVersion, root->version()};
  }
  if (root->subgraphs() == nullptr || root->subgraphs()->size() == 0) {
    return {EngineStatus::kSubgraphs};
  }
  if (!Consistent(*root)) {
    return {EngineStatus::kNotAFlatbuffer};
  }
  for (const tflite::OperatorCode* opcode : *root->operator_codes()) {
    if (Registered(*opcode) == nullptr) {
      return {EngineStatus::kUnsupportedOperator, static_cast<uint32_t>(tflite::GetBuiltinCode(opcode))};
    }
  }
  return {};
}

EngineResult EngineInit(Bytes model, Span<uint8_t> arena) {
  hil_engine_upstream = 1;  // without a word of it the linker would take it away
  hil_engine[0] = static_cast<uint32_t>(reinterpret_cast<uintptr_t>(model.data()));
  hil_engine[1] = static_cast<uint32_t>(model.size());
  hil_engine[2] = static_cast<uint32_t>(reinterpret_cast<uintptr_t>(arena.data()));
  hil_engine[3] = static_cast<uint32_t>(arena.size());
  return SetUp(model, arena, arena.size());
}

uint32_t EngineSmallestArena(Bytes model, Span<uint8_t> arena) {
  // The whole arena stays in use and less of it is allowed, so that no kernel ever gets a null pointer.
  log_muted = true;
  const uint32_t smallest = SmallestArena(EngineArenaUsed(), static_cast<uint32_t>(arena.size()),
                                          [&](uint32_t bytes) { return SetUp(model, arena, bytes).ok(); });
  log_muted = false;
  return smallest;
}

uint32_t EngineArenaUsed() { return static_cast<uint32_t>(interpreter_slot.get()->arena_used_bytes()); }

Span<uint8_t> EngineArenaUnused() { return engine_allocator->Unused(); }

size_t EngineInputs() { return interpreter_slot.get()->inputs_size(); }
size_t EngineOutputs() { return interpreter_slot.get()->outputs_size(); }

EngineTensor EngineInput(size_t index) {
  Interpreter& interpreter = *interpreter_slot.get();
  return Describe(*interpreter.input(index), interpreter.inputs().Get(index));
}

EngineTensor EngineOutput(size_t index) {
  Interpreter& interpreter = *interpreter_slot.get();
  return Describe(*interpreter.output(index), interpreter.outputs().Get(index));
}

void EngineKeepState(bool keep) { forgets = has_state && !keep; }

void EngineForget() {
  if (has_state) {
    interpreter_slot.get()->Reset();
  }
}

EngineResult EngineInvoke() {
  if (forgets) {
    EngineForget();
  }
  if (profiling) {
    profiler_slot.get()->Rewind();
  }
  return {interpreter_slot.get()->Invoke() == kTfLiteOk ? EngineStatus::kOk : EngineStatus::kInvokeFailed};
}

void EngineProfileStart(OperatorLog* log) {
  interpreter_slot.get()->SetProfiler(&profiler_slot.Emplace(engine_model, log));
  profiling = true;
}

void EngineProfileStop() {
  interpreter_slot.get()->SetProfiler(nullptr);
  profiling = false;
}

}  // namespace hil
