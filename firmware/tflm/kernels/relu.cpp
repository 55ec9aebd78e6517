// RELU and RELU6 of int16, and of int8 tensors whose scale or zero point changes.
#include "tflm/kernels/arithmetic.h"
#include "tflm/kernels/elementwise.h"

namespace hil::kernels {
namespace {

struct State {
  Factor factor;
  Range range;
};

bool PrepareRelu(const Node& node) {
  const TfLiteTensor& output = node.output();
  auto* const state = node.AllocateState<State>();
  if (state == nullptr || !SameTypeAndSize(node) || (output.type != kTfLiteInt8 && output.type != kTfLiteInt16)) {
    return false;
  }
  state->factor = FactorOf(static_cast<double>(node.input(0).params.scale) / static_cast<double>(output.params.scale));
  const Range whole = RangeOf(output.type);
  state->range = {std::max(whole.low, output.params.zero_point), whole.high};
  return true;
}

template <typename T>
void Rescale(const Node& node) {
  const State& state = node.state<State>();
  const int32_t from_zero = node.input(0).params.zero_point;
  const int32_t to_zero = node.output().params.zero_point;
  ForEach<T>(node, [&](T value) {
    return static_cast<T>(Clamped(Scaled(value - from_zero, state.factor) + to_zero, state.range));
  });
}

void InvokeRelu(const Node& node) {
  if (node.output().type == kTfLiteInt8) {
    Rescale<int8_t>(node);
  } else {
    Rescale<int16_t>(node);
  }
}

bool Rescales(const Node& node) {
  const TfLiteType type = node.input(0).type;
  return type == kTfLiteInt16 || (type == kTfLiteInt8 && !SameQuantisation(node.input(0), node.output()));
}

// RELU6 clamps and does not rescale, in the newest TFLM too.
bool PrepareRelu6(const Node& node) {
  auto* const state = node.AllocateState<State>();
  return state != nullptr && SameTypeAndSize(node) && node.output().type == kTfLiteInt16 &&
         SameQuantisation(node.input(0), node.output()) &&
         ActivationRange(kTfLiteActRelu6, node.output(), &state->range);
}

void InvokeRelu6(const Node& node) {
  const Range range = node.state<State>().range;
  ForEach<int16_t>(node, [=](int16_t value) { return static_cast<int16_t>(Clamped(value, range)); });
}

bool IsWide(const Node& node) { return node.input(0).type == kTfLiteInt16; }

}  // namespace

const Kernel RELU = {PrepareRelu, InvokeRelu, Rescales};
const Kernel RELU6 = {PrepareRelu6, InvokeRelu6, IsWide};

}  // namespace hil::kernels
