// The engine over TensorFlow Lite Micro of July 2020. All that depends on that vintage's API is in this file.
#include <algorithm>
#include <array>
#include <cstdarg>
#include <cstring>
#include <new>
#include <type_traits>
#include <utility>

#include "base/log.h"
#include "port/port.h"
#include "tensorflow/lite/micro/debug_log.h"
#include "tensorflow/lite/micro/kernels/micro_ops.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"
#include "tensorflow/lite/micro/micro_string.h"
#include "tensorflow/lite/micro/simple_memory_allocator.h"
#include "tensorflow/lite/schema/schema_generated.h"
#include "tflm/consistent.h"
#include "tflm/engine.h"
#include "tflm/needed.h"
#include "tflm/slot.h"
#include "tflm/smallest_arena.h"
#ifdef HIL_OWN_KERNELS
#include "tflm/kernels/kernel.h"
#endif

extern "C" {
void DebugLog(const char* text) { hil::Log(text); }

// Where the model that runs lies, and the arena that the interpreter was given: address and bytes of each. The host
// reads it (docs/link.md), and nothing here does.
volatile uint32_t hil_engine[4];
}

namespace hil {
namespace {

constexpr uint32_t kSchemaVersion = 3;
constexpr uint32_t kLeastArena = 256;  // the interpreter writes its allocator before it looks at the size

// ---- log, and the only way to tell "no memory" from "operator refused" in this vintage
// -------------------------------

class Reporter final : public tflite::ErrorReporter {
 public:
  int Report(const char* format, va_list arguments) override {
    // The three places where memory runs out: the allocator, and the planner's work space and result.
    for (const char* sign : {"Failed to allocate memory", "Too many buffers", "Arena size is too small"}) {
      out_of_memory_ = out_of_memory_ || std::strstr(format, sign) != nullptr;
    }
    if (!muted_) {
      char line[128];
      MicroVsnprintf(line, sizeof(line), format, arguments);
      Log("tflm: ");
      Log(line);
      Log("\n");
    }
    return 0;
  }
  void Mute(bool muted) { muted_ = muted; }
  void Reset() { out_of_memory_ = false; }
  bool out_of_memory() const { return out_of_memory_; }

 private:
  bool muted_ = false;
  bool out_of_memory_ = false;
};

Slot<Reporter> reporter_slot;

Reporter& TheReporter() { return reporter_slot.get() != nullptr ? *reporter_slot.get() : reporter_slot.Emplace(); }

// ---- operators
// -------------------------------------------------------------------------------------------------------

struct Operator {
  tflite::BuiltinOperator code;
  TfLiteRegistration* (*registration)();
};

namespace micro = tflite::ops::micro;

constexpr Operator kAllOperators[] = {
    {tflite::BuiltinOperator_ABS, micro::Register_ABS},
    {tflite::BuiltinOperator_ADD, micro::Register_ADD},
    {tflite::BuiltinOperator_ARG_MAX, micro::Register_ARG_MAX},
    {tflite::BuiltinOperator_ARG_MIN, micro::Register_ARG_MIN},
    {tflite::BuiltinOperator_AVERAGE_POOL_2D, micro::Register_AVERAGE_POOL_2D},
    {tflite::BuiltinOperator_CEIL, micro::Register_CEIL},
    {tflite::BuiltinOperator_CONCATENATION, micro::Register_CONCATENATION},
    {tflite::BuiltinOperator_CONV_2D, micro::Register_CONV_2D},
    {tflite::BuiltinOperator_COS, micro::Register_COS},
    {tflite::BuiltinOperator_DEPTHWISE_CONV_2D, micro::Register_DEPTHWISE_CONV_2D},
    {tflite::BuiltinOperator_DEQUANTIZE, micro::Register_DEQUANTIZE},
    {tflite::BuiltinOperator_EQUAL, micro::Register_EQUAL},
    {tflite::BuiltinOperator_FLOOR, micro::Register_FLOOR},
    {tflite::BuiltinOperator_FULLY_CONNECTED, micro::Register_FULLY_CONNECTED},
    {tflite::BuiltinOperator_GREATER, micro::Register_GREATER},
    {tflite::BuiltinOperator_GREATER_EQUAL, micro::Register_GREATER_EQUAL},
    {tflite::BuiltinOperator_L2_NORMALIZATION, micro::Register_L2_NORMALIZATION},
    {tflite::BuiltinOperator_LESS, micro::Register_LESS},
    {tflite::BuiltinOperator_LESS_EQUAL, micro::Register_LESS_EQUAL},
    {tflite::BuiltinOperator_LOG, micro::Register_LOG},
    {tflite::BuiltinOperator_LOGICAL_AND, micro::Register_LOGICAL_AND},
    {tflite::BuiltinOperator_LOGICAL_NOT, micro::Register_LOGICAL_NOT},
    {tflite::BuiltinOperator_LOGICAL_OR, micro::Register_LOGICAL_OR},
    {tflite::BuiltinOperator_LOGISTIC, micro::Register_LOGISTIC},
    {tflite::BuiltinOperator_MAXIMUM, micro::Register_MAXIMUM},
    {tflite::BuiltinOperator_MAX_POOL_2D, micro::Register_MAX_POOL_2D},
    {tflite::BuiltinOperator_MEAN, micro::Register_MEAN},
    {tflite::BuiltinOperator_MINIMUM, micro::Register_MINIMUM},
    {tflite::BuiltinOperator_MUL, micro::Register_MUL},
    {tflite::BuiltinOperator_NEG, micro::Register_NEG},
    {tflite::BuiltinOperator_NOT_EQUAL, micro::Register_NOT_EQUAL},
    {tflite::BuiltinOperator_PACK, micro::Register_PACK},
    {tflite::BuiltinOperator_PAD, micro::Register_PAD},
    {tflite::BuiltinOperator_PADV2, micro::Register_PADV2},
    {tflite::BuiltinOperator_PRELU, micro::Register_PRELU},
    {tflite::BuiltinOperator_QUANTIZE, micro::Register_QUANTIZE},
    {tflite::BuiltinOperator_RELU, micro::Register_RELU},
    {tflite::BuiltinOperator_RELU6, micro::Register_RELU6},
    {tflite::BuiltinOperator_RESHAPE, micro::Register_RESHAPE},
    {tflite::BuiltinOperator_RESIZE_NEAREST_NEIGHBOR, micro::Register_RESIZE_NEAREST_NEIGHBOR},
    {tflite::BuiltinOperator_ROUND, micro::Register_ROUND},
    {tflite::BuiltinOperator_RSQRT, micro::Register_RSQRT},
    {tflite::BuiltinOperator_SIN, micro::Register_SIN},
    {tflite::BuiltinOperator_SOFTMAX, micro::Register_SOFTMAX},
    {tflite::BuiltinOperator_SPLIT, micro::Register_SPLIT},
    {tflite::BuiltinOperator_SQRT, micro::Register_SQRT},
    {tflite::BuiltinOperator_SQUARE, micro::Register_SQUARE},
    {tflite::BuiltinOperator_STRIDED_SLICE, micro::Register_STRIDED_SLICE},
    {tflite::BuiltinOperator_SUB, micro::Register_SUB},
    {tflite::BuiltinOperator_TANH, micro::Register_TANH},
    {tflite::BuiltinOperator_UNPACK, micro::Register_UNPACK},
};
constexpr size_t kOperatorCount = CountNeeded(kAllOperators);
constexpr std::array<Operator, kOperatorCount> kOperators = KeepNeeded<kOperatorCount>(kAllOperators);

constexpr const Operator* NoOperator() { return kOperators.data() + kOperatorCount; }

// NoOperator() when this firmware does not have it.
const Operator* FindOperator(int32_t code) {
  return std::find_if(kOperators.data(), NoOperator(), [code](const Operator& known) { return known.code == code; });
}

static_assert(std::is_standard_layout<tflite::NodeAndRegistration>::value, "a node's address is its entry's");

tflite::NodeAndRegistration& EntryOf(TfLiteNode* node) { return *reinterpret_cast<tflite::NodeAndRegistration*>(node); }

// ---- operators of our own, in the image that has them (tflm/kernels)

#ifdef HIL_OWN_KERNELS

struct OwnOperator {
  tflite::BuiltinOperator code;
  const kernels::Kernel* kernel;
};

constexpr OwnOperator kAllOwnOperators[] = {
#define HIL_KERNEL(name) {tflite::BuiltinOperator_##name, &kernels::name},
#include "own_operators.inc"  // cmake/own_operators.cmake writes it
#undef HIL_KERNEL
};
constexpr size_t kOwnCount = CountNeeded(kAllOwnOperators);
constexpr std::array<OwnOperator, kOwnCount> kOwnOperators = KeepNeeded<kOwnCount>(kAllOwnOperators);

// What the nodes that they run point to; in the order of the table. By its name the host knows that the image has them.
extern "C" {
TfLiteRegistration hil_own_kernels[kOwnCount];
}

// nullptr when there is none.
const OwnOperator* FindOwn(int32_t code) {
  const auto* const found = std::find_if(std::begin(kOwnOperators), std::end(kOwnOperators),
                                         [code](const OwnOperator& own) { return own.code == code; });
  return found != std::end(kOwnOperators) ? &*found : nullptr;
}

const kernels::Kernel& OwnKernel(TfLiteNode* node) {
  return *FindOwn(EntryOf(node).registration->builtin_code)->kernel;
}

TfLiteStatus OwnInvoke(TfLiteContext* context, TfLiteNode* node) {
  OwnKernel(node).invoke(kernels::Node(context, node));
  return kTfLiteOk;
}

TfLiteStatus OwnPrepare(TfLiteContext* context, TfLiteNode* node) {
  const kernels::Node seen(context, node);
  return !TheReporter().out_of_memory() && OwnKernel(node).prepare(seen) ? kTfLiteOk : kTfLiteError;
}

bool IsOwn(const TfLiteRegistration& registration) { return registration.prepare == OwnPrepare; }

// Whether one of ours takes the node over from this vintage's kernel; then it has it from here on.
bool TakeOver(TfLiteContext* context, TfLiteNode* node) {
  const OwnOperator* const own = FindOwn(EntryOf(node).registration->builtin_code);
  if (own == nullptr || !own->kernel->instead(kernels::Node(context, node))) {
    return false;
  }
  EntryOf(node).registration = &hil_own_kernels[own - kOwnOperators.data()];
  return true;
}

void RegisterOwn(tflite::MicroOpResolver* resolver) {
  for (size_t i = 0; i < kOwnCount; ++i) {
    TfLiteRegistration& registration = hil_own_kernels[i];
    registration.builtin_code = kOwnOperators[i].code;
    registration.prepare = OwnPrepare;
    registration.invoke = OwnInvoke;
    if (FindOperator(kOwnOperators[i].code) == NoOperator()) {
      resolver->AddBuiltin(kOwnOperators[i].code, &registration, tflite::MicroOpResolverAnyVersion());
    }
  }
}

#else

constexpr size_t kOwnCount = 0;

#endif

// Whether this image can run operators of that code.
bool Holds(int32_t code) {
#ifdef HIL_OWN_KERNELS
  if (FindOwn(code) != nullptr) {
    return true;
  }
#endif
  return FindOperator(code) != NoOperator();
}

// Whether an operator of this vintage has one of ours beside it.
constexpr bool MayBeTakenOver([[maybe_unused]] int32_t code) {
#ifdef HIL_OWN_KERNELS
  for (const OwnOperator& own : kOwnOperators) {
    if (own.code == code) {
      return true;
    }
  }
#endif
  return false;
}

using Prepare = TfLiteStatus (*)(TfLiteContext*, TfLiteNode*);
Prepare original_prepare[kOperatorCount];

// When memory runs out in a kernel's init, this vintage goes on to its prepare, which writes through the null pointer
// that init returned. One guard per operator, because the C interface gives a kernel no way to know its registration.
template <size_t kIndex>
TfLiteStatus GuardedPrepare(TfLiteContext* context, TfLiteNode* node) {
#ifdef HIL_OWN_KERNELS
  if (TakeOver(context, node)) {
    return OwnPrepare(context, node);
  }
  if (original_prepare[kIndex] == nullptr) {
    return kTfLiteOk;
  }
#endif
  return TheReporter().out_of_memory() ? kTfLiteError : original_prepare[kIndex](context, node);
}

template <size_t... kIndices>
constexpr std::array<Prepare, kOperatorCount> Guards(std::index_sequence<kIndices...>) {
  return {GuardedPrepare<kIndices>...};
}
constexpr std::array<Prepare, kOperatorCount> kGuards = Guards(std::make_index_sequence<kOperatorCount>());

using Resolver = tflite::MicroMutableOpResolver<kOperatorCount + kOwnCount>;

Slot<Resolver> resolver_slot;
Slot<tflite::MicroInterpreter> interpreter_slot;
Span<uint8_t> engine_arena;

const Resolver& OperatorResolver() {
  if (resolver_slot.get() == nullptr) {
    Resolver& resolver = resolver_slot.Emplace(&TheReporter());
    for (size_t i = 0; i < kOperatorCount; ++i) {
      TfLiteRegistration registration = *kOperators[i].registration();
      if (registration.prepare != nullptr || MayBeTakenOver(kOperators[i].code)) {
        original_prepare[i] = registration.prepare;
        registration.prepare = kGuards[i];
      }
      // Any version: what a newer one would ask of the kernel shows in its output, which is compared.
      resolver.AddBuiltin(kOperators[i].code, &registration, tflite::MicroOpResolverAnyVersion());
    }
#ifdef HIL_OWN_KERNELS
    RegisterOwn(&resolver);
#endif
  }
  return *resolver_slot.get();
}

// ---- profile
// ---------------------------------------------------------------------------------------------------------
//
// This vintage's interpreter takes no profiler. It calls each kernel through its registration, which the resolver holds
// a copy of: for a profiled inference, and only for that, the copies point to the function below.

OperatorLog* operator_log;

using Invoke = TfLiteStatus (*)(TfLiteContext*, TfLiteNode*);

Invoke InvokeOf(const TfLiteRegistration& registration) {
#ifdef HIL_OWN_KERNELS
  if (IsOwn(registration)) {
    return OwnInvoke;
  }
#endif
  return FindOperator(registration.builtin_code)->registration()->invoke;
}

TfLiteStatus TimedInvoke(TfLiteContext* context, TfLiteNode* node) {
  const TfLiteRegistration& registration = *EntryOf(node).registration;
  const Invoke invoke = InvokeOf(registration);
  OperatorTime time;
  time.code = static_cast<uint8_t>(registration.builtin_code);
  time.begin = port::ClockNow();
  const TfLiteStatus status = invoke(context, node);
  time.end = port::ClockNow();
  operator_log->Note(time);
  return status;
}

// The resolver shows its registrations as constant; the object itself, in its slot, is not.
TfLiteRegistration& Held(tflite::BuiltinOperator code) {
  return const_cast<TfLiteRegistration&>(*OperatorResolver().FindOp(code, tflite::MicroOpResolverAnyVersion()));
}

void SetInvokes(bool timed) {
  for (const Operator& known : kOperators) {
    Held(known.code).invoke = timed ? TimedInvoke : known.registration()->invoke;
  }
#ifdef HIL_OWN_KERNELS
  for (size_t i = 0; i < kOwnCount; ++i) {
    hil_own_kernels[i].invoke = timed ? TimedInvoke : OwnInvoke;
    if (TfLiteRegistration& held = Held(kOwnOperators[i].code); IsOwn(held)) {
      held.invoke = hil_own_kernels[i].invoke;
    }
  }
#endif
}

// ---- checks of the flatbuffer
// ----------------------------------------------------------------------------------------

// Codes above 127 came after this vintage's schema, in a field that it does not know: slot 10 of the table.
int32_t BuiltinCode(const tflite::OperatorCode& opcode, const flatbuffers::Verifier& verifier) {
  constexpr int32_t kPlaceholder = 127;
  constexpr flatbuffers::voffset_t kNewCodeSlot = 10;
  const int32_t code = opcode.builtin_code();
  const auto& table = reinterpret_cast<const flatbuffers::Table&>(opcode);
  if (code == kPlaceholder && table.VerifyField<int32_t>(verifier, kNewCodeSlot)) {
    return table.GetField<int32_t>(kNewCodeSlot, code);
  }
  return code;
}

// ---- tensors
// ---------------------------------------------------------------------------------------------------------

uint8_t SchemaType(TfLiteType type) {
  switch (type) {
    case kTfLiteFloat32:
      return tflite::TensorType_FLOAT32;
    case kTfLiteFloat16:
      return tflite::TensorType_FLOAT16;
    default:
      return static_cast<uint8_t>(type);  // all others have the schema's number
  }
}

EngineTensor Describe(const TfLiteTensor& tensor) {
  EngineTensor described;
  described.type = SchemaType(tensor.type);
  described.shape = Span<const int>(tensor.dims->data, static_cast<size_t>(tensor.dims->size));
  described.scale = tensor.params.scale;
  described.zero_point = tensor.params.zero_point;
  described.data = Span<uint8_t>(tensor.data.uint8, tensor.bytes);
  return described;
}

// An LSTM keeps its state in variable tensors, in the image that has such kernels. Unless the product means a window's
// answer to depend on the windows before it, they are set back before each run.
#ifdef HIL_OWN_KERNELS

bool has_state;
bool forgets;  // before each run

void LookForState() {
  tflite::MicroInterpreter& interpreter = *interpreter_slot.get();
  has_state = false;
  for (size_t i = 0; i < interpreter.tensors_size(); ++i) {
    has_state = has_state || interpreter.tensor(i)->is_variable;
  }
}

// Tensors that no operator reads or writes only carry a scale, as those that an LSTM's gates have between them. The
// planner of this vintage refuses them, unless they lie somewhere.
void PlaceUnused(const tflite::SubGraph& graph, tflite::MicroInterpreter* interpreter) {
  static uint8_t nowhere;
  const auto holds = [](const flatbuffers::Vector<int32_t>* indices, int32_t index) {
    return std::find(indices->begin(), indices->end(), index) != indices->end();
  };
  for (size_t i = 0; i < interpreter->tensors_size(); ++i) {
    const auto index = static_cast<int32_t>(i);
    bool used = holds(graph.inputs(), index) || holds(graph.outputs(), index);
    for (const tflite::Operator* op : *graph.operators()) {
      used = used || holds(op->inputs(), index) || holds(op->outputs(), index);
    }
    TfLiteTensor& tensor = *interpreter->tensor(i);
    if (!used && tensor.data.raw == nullptr) {
      tensor.data.uint8 = &nowhere;
    }
  }
}

void SetForgetting(bool keep) { forgets = has_state && !keep; }

void ForgetState() {
  if (has_state) {
    interpreter_slot.get()->ResetVariableTensors();
  }
}

void ForgetBeforeRun() {
  if (forgets) {
    ForgetState();
  }
}

#else

void LookForState() {}
void PlaceUnused(const tflite::SubGraph&, tflite::MicroInterpreter*) {}
void SetForgetting(bool) {}
void ForgetState() {}
void ForgetBeforeRun() {}

#endif

// At the upper end of the arena: where the rest is too small for its planner, this vintage writes below what it got,
// and that is then the arena's own.
bool TrySize(Bytes model, Span<uint8_t> arena, uint32_t bytes) {
  return EngineInit(model, arena.subspan(arena.size() - bytes, bytes)).ok();
}

}  // namespace

Span<const uint8_t> EngineOperators() {
  static uint8_t codes[kOperatorCount + kOwnCount];
  size_t count = 0;
  for (const Operator& known : kOperators) {
    codes[count++] = static_cast<uint8_t>(known.code);
  }
#ifdef HIL_OWN_KERNELS
  for (const OwnOperator& own : kOwnOperators) {
    if (FindOperator(own.code) == NoOperator()) {
      codes[count++] = static_cast<uint8_t>(own.code);
    }
  }
#endif
  return Span<const uint8_t>(codes, count);
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
  const uint32_t subgraphs = root->subgraphs() != nullptr ? root->subgraphs()->size() : 0;
  if (subgraphs != 1) {
    return {EngineStatus::kSubgraphs, subgraphs};
  }
  if (!Consistent(*root)) {
    return {EngineStatus::kNotAFlatbuffer};
  }
  for (const tflite::OperatorCode* opcode : *root->operator_codes()) {
    const int32_t code = BuiltinCode(*opcode, verifier);
    if (!Holds(code)) {
      return {EngineStatus::kUnsupportedOperator, static_cast<uint32_t>(code)};
    }
  }
  return {};
}

EngineResult EngineInit(Bytes model, Span<uint8_t> arena) {
  if (arena.size() < kLeastArena) {
    return {EngineStatus::kArenaTooSmall};
  }
  TheReporter().Reset();
  engine_arena = arena;
  hil_engine[0] = static_cast<uint32_t>(reinterpret_cast<uintptr_t>(model.data()));
  hil_engine[1] = static_cast<uint32_t>(model.size());
  hil_engine[2] = static_cast<uint32_t>(reinterpret_cast<uintptr_t>(arena.data()));
  hil_engine[3] = static_cast<uint32_t>(arena.size());
  auto& interpreter = interpreter_slot.Emplace(tflite::GetModel(model.data()), OperatorResolver(), arena.data(),
                                               arena.size(), &TheReporter());
  bool ready = interpreter.initialization_status() == kTfLiteOk && !TheReporter().out_of_memory();
  if (ready) {
    PlaceUnused(*tflite::GetModel(model.data())->subgraphs()->Get(0), &interpreter);
    ready = interpreter.AllocateTensors() == kTfLiteOk;
  }
  if (!ready) {
    return {TheReporter().out_of_memory() ? EngineStatus::kArenaTooSmall : EngineStatus::kOperatorRefused};
  }
  LookForState();
  SetForgetting(false);
  return {};
}

uint32_t EngineSmallestArena(Bytes model, Span<uint8_t> arena) {
  TheReporter().Mute(true);
  const uint32_t smallest = SmallestArena(EngineArenaUsed(), static_cast<uint32_t>(arena.size()),
                                          [&](uint32_t bytes) { return TrySize(model, arena, bytes); });
  TheReporter().Mute(false);
  return smallest;
}

namespace {

// The interpreter's allocator object is the first thing that it puts at the end of the arena.
const tflite::SimpleMemoryAllocator& RootAllocator() {
  auto at = reinterpret_cast<uintptr_t>(engine_arena.end()) - sizeof(tflite::SimpleMemoryAllocator);
  at -= at % alignof(tflite::SimpleMemoryAllocator);
  return *reinterpret_cast<const tflite::SimpleMemoryAllocator*>(at);
}

}  // namespace

uint32_t EngineArenaUsed() { return static_cast<uint32_t>(RootAllocator().GetUsedBytes()); }

Span<uint8_t> EngineArenaUnused() {
  return Span<uint8_t>(RootAllocator().GetHead(), RootAllocator().GetAvailableMemory());
}

size_t EngineInputs() { return interpreter_slot.get()->inputs_size(); }
size_t EngineOutputs() { return interpreter_slot.get()->outputs_size(); }
EngineTensor EngineInput(size_t index) { return Describe(*interpreter_slot.get()->input(index)); }
EngineTensor EngineOutput(size_t index) { return Describe(*interpreter_slot.get()->output(index)); }

EngineResult EngineInvoke() {
  ForgetBeforeRun();
  return {interpreter_slot.get()->Invoke() == kTfLiteOk ? EngineStatus::kOk : EngineStatus::kInvokeFailed};
}

void EngineKeepState(bool keep) { SetForgetting(keep); }

void EngineForget() { ForgetState(); }

void EngineProfileStart(OperatorLog* log) {
  operator_log = log;
  SetInvokes(true);
}

void EngineProfileStop() { SetInvokes(false); }

}  // namespace hil
