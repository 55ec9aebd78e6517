#include "engine.h"

#include <new>

#include "board.h"
#include "model.h"
#include "tensorflow/lite/micro/debug_log.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"
#include "tensorflow/lite/micro/micro_profiler_interface.h"
#include "tensorflow/lite/schema/schema_generated.h"
#include "tensorflow/lite/schema/schema_utils.h"

// TFLM's messages go nowhere: with the library's own printing the image would take the C library's, and its heap.
extern "C" {
void DebugLog(const char*, va_list) {}
int DebugVsnprintf(char* buffer, size_t size, const char*, va_list) {
  if (size > 0) {
    buffer[0] = '\0';
  }
  return 0;
}
}

namespace engine {
namespace {

constexpr uint32_t kPaint = 0xA5C35A3C, kCanary = 0xD7B4E269, kCanaryWords = 16;
constexpr uint32_t kWords = kArenaBytes / 4, kMostOperators = 32;
constexpr uint8_t kOperators[] = {tflite::BuiltinOperator_CONV_2D, tflite::BuiltinOperator_DEPTHWISE_CONV_2D,
                                  tflite::BuiltinOperator_AVERAGE_POOL_2D, tflite::BuiltinOperator_FULLY_CONNECTED,
                                  tflite::BuiltinOperator_SOFTMAX};

alignas(16) struct {
  uint32_t below[kCanaryWords];
  uint32_t arena[kWords];
  uint32_t above[kCanaryWords];
} memory;
static_assert(kCanaryWords * 4 % 16 == 0, "the arena is aligned as TFLM wants it");

class Profiler final : public tflite::MicroProfilerInterface {
 public:
  uint32_t BeginEvent(const char*) override {
    if (on && count < kMostOperators) {
      times[count].begin = board_ticks();
    }
    return 0;
  }

  void EndEvent(uint32_t) override {
    const uint32_t now = board_ticks();
    if (on && count < kMostOperators) {
      times[count++].end = now;
    }
  }

  bool on = false;
  uint32_t count = 0;
  OperatorTime times[kMostOperators] = {};

  TF_LITE_REMOVE_VIRTUAL_DELETE
};

using Resolver = tflite::MicroMutableOpResolver<sizeof kOperators>;

// Constructed by Start(): nothing runs before main().
alignas(Resolver) uint8_t resolver_place[sizeof(Resolver)];
alignas(Profiler) uint8_t profiler_place[sizeof(Profiler)];
alignas(tflite::MicroInterpreter) uint8_t interpreter_place[sizeof(tflite::MicroInterpreter)];
Profiler* profiler;
tflite::MicroInterpreter* interpreter;

void Fill(uint32_t* words, uint32_t count, uint32_t value) {
  for (uint32_t i = 0; i < count; ++i) {
    words[i] = value;
  }
}

bool Mended(uint32_t* words) {
  bool damaged = false;
  for (uint32_t i = 0; i < kCanaryWords; ++i) {
    damaged = damaged || words[i] != kCanary;
    words[i] = kCanary;
  }
  return damaged;
}

Tensor Described(const TfLiteTensor& tensor) {
  Tensor told = {tensor.data.int8,         static_cast<uint32_t>(tensor.bytes),      tensor.params.scale,
                 tensor.params.zero_point, static_cast<uint32_t>(tensor.dims->size), {}};
  for (uint32_t i = 0; i < told.rank && i < 6; ++i) {
    told.shape[i] = static_cast<uint32_t>(tensor.dims->data[i]);
  }
  return told;
}

}  // namespace

bool Start() {
  Fill(memory.below, kCanaryWords, kCanary);
  Fill(memory.arena, kWords, kPaint);
  Fill(memory.above, kCanaryWords, kCanary);
  Resolver* const resolver = new (resolver_place) Resolver();
  profiler = new (profiler_place) Profiler();
  const bool known = resolver->AddConv2D() == kTfLiteOk && resolver->AddDepthwiseConv2D() == kTfLiteOk &&
                     resolver->AddAveragePool2D() == kTfLiteOk && resolver->AddFullyConnected() == kTfLiteOk &&
                     resolver->AddSoftmax() == kTfLiteOk;
  interpreter = new (interpreter_place)
      tflite::MicroInterpreter(tflite::GetModel(model::data), *resolver, reinterpret_cast<uint8_t*>(memory.arena),
                               kArenaBytes, nullptr, profiler);
  return known && interpreter->AllocateTensors() == kTfLiteOk && interpreter->input(0)->type == kTfLiteInt8 &&
         interpreter->input(0)->bytes == model::kInputs && interpreter->output(0)->bytes == model::kLabels;
}

Tensor Input() { return Described(*interpreter->input(0)); }
Tensor Output() { return Described(*interpreter->output(0)); }
bool Invoke() { return interpreter->Invoke() == kTfLiteOk; }

const uint8_t* Operators(uint32_t* count) {
  *count = sizeof kOperators;
  return kOperators;
}

void Profile(bool on) {
  profiler->count = on ? 0 : profiler->count;
  profiler->on = on;
}

uint32_t Profiled() { return profiler->count; }

bool ProfileOf(uint32_t index, OperatorTime* time) {
  if (index >= profiler->count) {
    return false;
  }
  const tflite::Model* const root = tflite::GetModel(model::data);
  const auto* const op = root->subgraphs()->Get(0)->operators()->Get(index);
  *time = profiler->times[index];
  time->code = static_cast<uint8_t>(tflite::GetBuiltinCode(root->operator_codes()->Get(op->opcode_index())));
  return true;
}

uint32_t ArenaUsed() { return static_cast<uint32_t>(interpreter->arena_used_bytes()); }

// TFLM fills the arena from both ends: what was never written is the longest stretch of paint.
uint32_t ArenaHighWater() {
  uint32_t longest = 0, stretch = 0;
  for (uint32_t i = 0; i < kWords; ++i) {
    stretch = memory.arena[i] == kPaint ? stretch + 1 : 0;
    longest = stretch > longest ? stretch : longest;
  }
  return kArenaBytes - 4 * longest;
}

uint8_t Canaries() {
  const bool below = Mended(memory.below), above = Mended(memory.above);
  return static_cast<uint8_t>((below ? 1 : 0) | (above ? 2 : 0));
}

}  // namespace engine
