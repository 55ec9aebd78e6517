// ADD, SUB and MUL of int16 and, without a scale, of int32.
#include "tflm/kernels/arithmetic.h"
#include "tflm/kernels/broadcast.h"

namespace hil::kernels {
namespace {

struct State {
  Broadcast broadcast;
  Range range;
  Factor first, second, output;
};

constexpr int kShift = 15;  // of the inputs of an addition, to the left

// An activation's bounds in whole numbers.
bool WholeRange(TfLiteFusedActivation activation, Range* range) {
  FloatRange real;
  *range = RangeOf(kTfLiteInt32);
  if (!ActivationRange(activation, &real)) {
    return false;
  }
  if (real.low >= -1.0f) {
    range->low = static_cast<int32_t>(real.low);
  }
  if (real.high <= 6.0f) {
    range->high = static_cast<int32_t>(real.high);
  }
  return true;
}

bool PrepareRange(const Node& node, TfLiteFusedActivation activation, State* state) {
  if (!PrepareBroadcast(node, &state->broadcast)) {
    return false;
  }
  if (node.output().type == kTfLiteInt32) {
    return WholeRange(activation, &state->range);
  }
  const bool centred = node.input(0).params.zero_point == 0 && node.input(1).params.zero_point == 0;
  return node.output().type == kTfLiteInt16 && centred && node.output().params.zero_point == 0 &&
         ActivationRange(activation, node.output(), &state->range);
}

bool PrepareSum(const Node& node, TfLiteFusedActivation activation) {
  auto* const state = node.AllocateState<State>();
  if (state == nullptr || !PrepareRange(node, activation, state)) {
    return false;
  }
  if (node.output().type == kTfLiteInt16) {
    const auto first = static_cast<double>(node.input(0).params.scale);
    const auto second = static_cast<double>(node.input(1).params.scale);
    const double common = 2.0 * std::max(first, second);
    state->first = FactorOf(first / common);
    state->second = FactorOf(second / common);
    state->output =
        FactorOf(common / (static_cast<double>(1 << kShift) * static_cast<double>(node.output().params.scale)));
  }
  return true;
}

// As TFLM has it: integers of 32 bits are added without the fused activation.
bool PrepareAdd(const Node& node) {
  const bool whole = node.output().type == kTfLiteInt32;
  return PrepareSum(node, whole ? kTfLiteActNone : node.options<TfLiteAddParams>().activation);
}
bool PrepareSub(const Node& node) { return PrepareSum(node, node.options<TfLiteSubParams>().activation); }

void InvokeSum(const Node& node, int32_t sign) {
  const State& state = node.state<State>();
  if (node.output().type == kTfLiteInt32) {
    ForEachPair<int32_t>(node, state.broadcast, [&](int32_t a, int32_t b) {
      const uint32_t sum = static_cast<uint32_t>(a) + static_cast<uint32_t>(sign) * static_cast<uint32_t>(b);
      return Clamped(static_cast<int32_t>(sum), state.range);
    });
    return;
  }
  ForEachPair<int16_t>(node, state.broadcast, [&](int16_t a, int16_t b) {
    const int32_t first = Scaled(ShiftLeft(a, kShift), state.first);
    const int32_t second = Scaled(ShiftLeft(b, kShift), state.second);
    return static_cast<int16_t>(Clamped(Scaled(first + sign * second, state.output), state.range));
  });
}

void InvokeAdd(const Node& node) { InvokeSum(node, 1); }
void InvokeSub(const Node& node) { InvokeSum(node, -1); }

bool PrepareMul(const Node& node) {
  auto* const state = node.AllocateState<State>();
  if (state == nullptr || !PrepareRange(node, node.options<TfLiteMulParams>().activation, state)) {
    return false;
  }
  const double product =
      static_cast<double>(node.input(0).params.scale) * static_cast<double>(node.input(1).params.scale);
  if (node.output().type == kTfLiteInt16) {
    state->output = FactorOf(product / static_cast<double>(node.output().params.scale));
  }
  return true;
}

void InvokeMul(const Node& node) {
  const State& state = node.state<State>();
  if (node.output().type == kTfLiteInt32) {
    ForEachPair<int32_t>(node, state.broadcast, [&](int32_t a, int32_t b) {
      return Clamped(static_cast<int32_t>(static_cast<uint32_t>(a) * static_cast<uint32_t>(b)), state.range);
    });
    return;
  }
  ForEachPair<int16_t>(node, state.broadcast, [&](int16_t a, int16_t b) {
    return static_cast<int16_t>(Clamped(Scaled(static_cast<int32_t>(a) * b, state.output), state.range));
  });
}

bool Instead(const Node& node) { return node.input(0).type == kTfLiteInt16 || node.input(0).type == kTfLiteInt32; }

}  // namespace

const Kernel ADD = {PrepareAdd, InvokeAdd, Instead};
const Kernel SUB = {PrepareSub, InvokeSub, Instead};
const Kernel MUL = {PrepareMul, InvokeMul, Instead};

}  // namespace hil::kernels
