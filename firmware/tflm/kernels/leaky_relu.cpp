// LEAKY_RELU of int8, int16 and float32.
#include <cmath>

#include "tflm/kernels/arithmetic.h"
#include "tflm/kernels/elementwise.h"

namespace hil::kernels {
namespace {

struct State {
  Factor positive;
  Factor negative;  // of the slope's amount
  bool falling;     // the slope is below zero
};

float Slope(const Node& node) { return node.options<TfLiteLeakyReluParams>().alpha; }

bool Prepare(const Node& node) {
  const TfLiteType type = node.output().type;
  if (!SameTypeAndSize(node) || (type != kTfLiteInt8 && type != kTfLiteInt16 && type != kTfLiteFloat32)) {
    return false;
  }
  if (type == kTfLiteFloat32) {
    return true;
  }
  auto* const state = node.AllocateState<State>();
  if (state == nullptr) {
    return false;
  }
  const auto in = static_cast<double>(node.input(0).params.scale);
  const auto out = static_cast<double>(node.output().params.scale);
  const auto slope = static_cast<double>(Slope(node));
  state->positive = FactorOf(in / out);
  state->falling = slope < 0.0;
  state->negative = FactorOf(in * std::abs(slope) / out);
  return true;
}

template <typename T>
void Quantised(const Node& node) {
  const State& state = node.state<State>();
  const int32_t from_zero = node.input(0).params.zero_point;
  const int32_t to_zero = node.output().params.zero_point;
  ForEach<T>(node, [&](T value) {
    const int32_t real = value - from_zero;
    const int32_t scaled = Scaled(real, real >= 0 ? state.positive : state.negative);
    return Saturated<T>(to_zero + (real < 0 && state.falling ? -scaled : scaled));
  });
}

void Invoke(const Node& node) {
  if (node.output().type == kTfLiteInt8) {
    Quantised<int8_t>(node);
  } else if (node.output().type == kTfLiteInt16) {
    Quantised<int16_t>(node);
  } else {
    const float slope = Slope(node);
    ForEach<float>(node, [=](float value) { return value > 0.0f ? value : value * slope; });
  }
}

}  // namespace

const Kernel LEAKY_RELU = {Prepare, Invoke};

}  // namespace hil::kernels
