// HARD_SWISH, x * relu6(x + 3) / 6, of int8 in 16-bit fixed point, and of float32.
#include "tflm/kernels/arithmetic.h"
#include "tflm/kernels/elementwise.h"

namespace hil::kernels {
namespace {

struct ShortFactor {
  int16_t fraction;  // Q15
  int shift;
};
struct State {
  ShortFactor output;   // from 1/128 of the input's scale to the output's
  ShortFactor reluish;  // from there to the scale on which 3.0 is 32768
};

constexpr float kFine = 1.0f / 128.0f;
constexpr float kReluishScale = 3.0f / 32768.0f;

ShortFactor ShortFactorOf(double value) {
  const Factor factor = FactorOf(value);
  constexpr int32_t kHalf = 1 << 15;
  const int32_t most = std::numeric_limits<int32_t>::max() - kHalf;
  const int32_t fraction =
      factor.fraction >= most ? std::numeric_limits<int16_t>::max() : (factor.fraction + kHalf) >> 16;
  return {static_cast<int16_t>(fraction), factor.shift};
}

bool Prepare(const Node& node) {
  if (!SameTypeAndSize(node)) {
    return false;
  }
  if (node.output().type != kTfLiteInt8) {
    return node.output().type == kTfLiteFloat32;
  }
  auto* const state = node.AllocateState<State>();
  if (state == nullptr) {
    return false;
  }
  const float fine = kFine * node.input(0).params.scale;
  state->output = ShortFactorOf(static_cast<double>(fine / node.output().params.scale));
  state->reluish = ShortFactorOf(static_cast<double>(fine / kReluishScale));
  return state->output.shift <= 0;  // an output scale that much finer than the input's is refused by others, too
}

// a * b / 2^15, rounded to nearest
int16_t RoundingProduct(int16_t a, int16_t b) {
  constexpr int16_t kLeast = std::numeric_limits<int16_t>::min();
  if (a == kLeast && b == kLeast) {
    return std::numeric_limits<int16_t>::max();
  }
  const int32_t product = static_cast<int32_t>(a) * b;
  const int32_t half = product >= 0 ? 1 << 14 : 1 - (1 << 14);
  return static_cast<int16_t>((product + half) / (1 << 15));
}

// a * b / 2^15, towards zero
int16_t TruncatingProduct(int16_t a, int16_t b) {
  constexpr int16_t kLeast = std::numeric_limits<int16_t>::min();
  if (a == kLeast && b == kLeast) {
    return std::numeric_limits<int16_t>::max();
  }
  return static_cast<int16_t>(static_cast<int32_t>(a) * b / (1 << 15));
}

int16_t SaturatingShiftLeft(int16_t value, int shift) {
  const int64_t shifted = static_cast<int64_t>(value) * (int64_t{1} << shift);
  return static_cast<int16_t>(
      std::clamp<int64_t>(shifted, std::numeric_limits<int16_t>::min(), std::numeric_limits<int16_t>::max()));
}

int16_t ShiftRight(int16_t value, int shift) { return static_cast<int16_t>(RoundingShiftRight(value, shift)); }

// relu6(x + 3) / 6 as Q15 in [0, 1)
int16_t Gate(int16_t fine, ShortFactor factor) {
  int16_t value = fine;
  if (factor.shift > 0) {
    value = SaturatingShiftLeft(value, factor.shift - 1);
  }
  value = RoundingProduct(value, factor.fraction);
  if (factor.shift > 0) {
    value = SaturatingShiftLeft(value, 1);
  } else if (factor.shift < 0) {
    value = ShiftRight(value, -factor.shift);
  }
  return static_cast<int16_t>((value + (1 << 15)) >> 1);
}

void Invoke(const Node& node) {
  if (node.output().type == kTfLiteFloat32) {
    ForEach<float>(node, [](float x) { return x * std::min(6.0f, std::max(0.0f, x + 3.0f)) / 6.0f; });
    return;
  }
  const State& state = node.state<State>();
  const int32_t from_zero = node.input(0).params.zero_point;
  const int32_t to_zero = node.output().params.zero_point;
  ForEach<int8_t>(node, [&](int8_t value) {
    const auto fine = static_cast<int16_t>((value - from_zero) * 128);
    const int16_t scaled = RoundingProduct(fine, state.output.fraction);
    const int16_t product = TruncatingProduct(Gate(fine, state.reluish), scaled);
    return Saturated<int8_t>(ShiftRight(product, -state.output.shift) + to_zero);
  });
}

}  // namespace

const Kernel HARD_SWISH = {Prepare, Invoke};

}  // namespace hil::kernels
