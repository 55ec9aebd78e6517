// SQUARED_DIFFERENCE of int8, int16, int32 and float32.
#include "tflm/kernels/arithmetic.h"
#include "tflm/kernels/broadcast.h"

namespace hil::kernels {
namespace {

struct State {
  Broadcast broadcast;
  int shift;  // of the inputs, to the left
  Factor first, second, output;
};

bool Prepare(const Node& node) {
  auto* const state = node.AllocateState<State>();
  const TfLiteType type = node.output().type;
  if (state == nullptr || !PrepareBroadcast(node, &state->broadcast)) {
    return false;
  }
  if (type == kTfLiteInt8 || type == kTfLiteInt16) {
    const auto first = static_cast<double>(node.input(0).params.scale);
    const auto second = static_cast<double>(node.input(1).params.scale);
    const double common = 2.0 * std::max(first, second);
    state->shift = type == kTfLiteInt8 ? 7 : 0;
    state->first = FactorOf(first / common);
    state->second = FactorOf(second / common);
    const auto units = static_cast<float>(1 << state->shift * 2) * node.output().params.scale;
    state->output = FactorOf(common * common / static_cast<double>(units));
    return true;
  }
  return type == kTfLiteInt32 || type == kTfLiteFloat32;
}

template <typename T>
void Quantised(const Node& node) {
  const State& state = node.state<State>();
  const int32_t first_zero = node.input(0).params.zero_point;
  const int32_t second_zero = node.input(1).params.zero_point;
  const int32_t zero = node.output().params.zero_point;
  ForEachPair<T>(node, state.broadcast, [&](T a, T b) {
    const int32_t first = Scaled(ShiftLeft(a - first_zero, state.shift), state.first);
    const int32_t second = Scaled(ShiftLeft(b - second_zero, state.shift), state.second);
    const auto difference = static_cast<uint32_t>(first - second);
    return Saturated<T>(Scaled(static_cast<int32_t>(difference * difference), state.output) + zero);
  });
}

void Invoke(const Node& node) {
  const Broadcast& broadcast = node.state<State>().broadcast;
  switch (node.output().type) {
    case kTfLiteInt8:
      return Quantised<int8_t>(node);
    case kTfLiteInt16:
      return Quantised<int16_t>(node);
    case kTfLiteInt32:
      return ForEachPair<int32_t>(node, broadcast, [](int32_t a, int32_t b) {
        const uint32_t difference = static_cast<uint32_t>(a) - static_cast<uint32_t>(b);
        return static_cast<int32_t>(difference * difference);
      });
    default:
      return ForEachPair<float>(node, broadcast, [](float a, float b) { return (a - b) * (a - b); });
  }
}

}  // namespace

const Kernel SQUARED_DIFFERENCE = {Prepare, Invoke};

}  // namespace hil::kernels
