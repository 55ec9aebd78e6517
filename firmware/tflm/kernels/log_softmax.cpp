// LOG_SOFTMAX along the last axis, of int8 to the scale 1/16 with zero point 127, and of float32.
#include <cmath>

#include "fixedpoint/fixedpoint.h"
#include "tflm/kernels/arithmetic.h"
#include "tflm/kernels/elementwise.h"

namespace hil::kernels {
namespace {

constexpr int kInputBits = 5;  // before the point, of a difference to the largest input
constexpr int kSumBits = 12;
constexpr int kOutputBits = 4;
constexpr int kLargest = 127;

struct State {
  int rows, depth;
  Factor factor;   // from the input's scale to Q5.26
  Factor inverse;  // and back
  int32_t least;   // the smallest difference whose power counts
};

bool Prepare(const Node& node) {
  const TfLiteTensor& input = node.input(0);
  auto* const state = node.AllocateState<State>();
  if (state == nullptr || !SameTypeAndSize(node) || input.dims->size < 1) {
    return false;
  }
  state->depth = input.dims->data[input.dims->size - 1];
  state->rows = Elements(input) / std::max(state->depth, 1);
  if (input.type != kTfLiteInt8) {
    return input.type == kTfLiteFloat32;
  }
  const double unit = static_cast<double>(1 << (31 - kInputBits));
  const double scaled = std::min(static_cast<double>(input.params.scale) * unit, 2147483647.0);
  state->factor = FactorOf(scaled);
  const double back =
      static_cast<double>(int64_t{1} << (31 - state->factor.shift)) / static_cast<double>(state->factor.fraction);
  state->inverse = FactorOf(back);
  const double most = static_cast<double>((1 << kInputBits) - 1) *
                      static_cast<double>(int64_t{1} << (31 - kInputBits)) /
                      static_cast<double>(int64_t{1} << state->factor.shift);
  state->least = -static_cast<int32_t>(std::floor(most));
  return node.output().params.scale == 16.0f / 256.0f && node.output().params.zero_point == kLargest;
}

using Difference = gemmlowp::FixedPoint<int32_t, kInputBits>;
using Sum = gemmlowp::FixedPoint<int32_t, kSumBits>;

int32_t SaturatingShiftLeft(int32_t x, int shift) {
  const int64_t shifted = static_cast<int64_t>(x) * (int64_t{1} << shift);
  return static_cast<int32_t>(
      std::clamp<int64_t>(shifted, std::numeric_limits<int32_t>::min(), std::numeric_limits<int32_t>::max()));
}

// ln(x) of a Q12.19 number >= 1, as Q5.26, in 32-bit fixed point: ln(2) times a power of two, and of the rest r in
// [sqrt(1/2), 1) a rational function around the fourth root of 1/2. All constants are Q31.
int32_t Log(int32_t x) {
  constexpr int kBits = kInputBits + 1;  // before the point while summing
  constexpr int32_t kLog2 = 1488522236;
  constexpr int32_t kRoot = 1518500250;        // sqrt(1/2)
  constexpr int32_t kFourthRoot = 1805811301;  // sqrt(sqrt(1/2))
  constexpr int32_t kN = 117049297;            // 11/240 * 2^(1/4)
  constexpr int32_t kD = 127690142;            // 1/20 * 2^(1/4)
  constexpr int32_t kI = 1057819769;           // 2 / 2^(1/4) - 2^(1/4)
  constexpr int32_t kF = 638450708;            // 1/4 * 2^(1/4)
  const auto product = RoundingHighProduct;
  const int32_t quarter = RoundingShiftRight(1 << 29, kBits);

  const int zeros = __builtin_clz(static_cast<uint32_t>(x));
  const int32_t rest_a = SaturatingShiftLeft(product(SaturatingShiftLeft(x, zeros - 1), kRoot), 1);
  const int32_t power_a = SaturatingShiftLeft(kSumBits - zeros, 31 - kBits) + quarter;
  const int room = __builtin_clz(static_cast<uint32_t>(product(x, kRoot))) - 1;
  const int32_t rest_b = SaturatingShiftLeft(x, room);
  const int32_t power_b = SaturatingShiftLeft(kSumBits - room, 31 - kBits) - quarter;
  const int32_t rest = std::min(rest_a, rest_b);
  const int32_t power = std::max(power_a, power_b);

  const auto middle = static_cast<int32_t>((static_cast<int64_t>(rest) + kFourthRoot + 1) / 2);
  const int32_t off = 2 * (rest - kFourthRoot);
  const int32_t square = product(off, off);
  const int32_t above = product(off, rest) + product(product(off, square), kN);
  const int32_t below = product(middle, kI + off + product(kD, square)) + product(kF, off);
  const int32_t inverse =
      gemmlowp::one_over_one_plus_x_for_x_in_0_1(gemmlowp::FixedPoint<int32_t, 0>::FromRaw(below)).raw();
  const int32_t sum = product(power, kLog2) + product(RoundingShiftRight(above, kBits), inverse);
  return SaturatingShiftLeft(sum, 1);
}

void Quantised(const State& state, const int8_t* in, int8_t* out) {
  const int8_t largest = *std::max_element(in, in + state.depth);
  Sum sum = Sum::FromRaw(0);
  for (int i = 0; i < state.depth; ++i) {
    const int32_t difference = in[i] - largest;
    if (difference >= state.least) {
      const auto power = gemmlowp::exp_on_negative_values(Difference::FromRaw(Scaled(difference, state.factor)));
      sum = sum + gemmlowp::Rescale<kSumBits>(power);
    }
  }
  const int32_t log = Log(sum.raw());
  const int32_t shortened = log + std::numeric_limits<int32_t>::min();
  const int32_t bound = std::max<int32_t>(state.least - 1, Scaled(shortened, state.inverse));
  for (int i = 0; i < state.depth; ++i) {
    const int32_t difference = in[i] - largest;
    out[i] = std::numeric_limits<int8_t>::min();
    if (difference > bound) {
      const int32_t value = Scaled(difference, state.factor) - log;
      out[i] = Saturated<int8_t>(RoundingShiftRight(value, 31 - kInputBits - kOutputBits) + kLargest);
    }
  }
}

void Real(const State& state, const float* in, float* out) {
  const float largest = *std::max_element(in, in + state.depth);
  float sum = 0.0f;
  for (int i = 0; i < state.depth; ++i) {
    sum += std::exp(in[i] - largest);
  }
  const float log = std::log(sum);
  for (int i = 0; i < state.depth; ++i) {
    out[i] = in[i] - largest - log;
  }
}

void Invoke(const Node& node) {
  const State& state = node.state<State>();
  for (int row = 0; row < state.rows; ++row) {
    const int at = row * state.depth;
    if (node.output().type == kTfLiteInt8) {
      Quantised(state, node.in<int8_t>() + at, node.out<int8_t>() + at);
    } else {
      Real(state, node.in<float>() + at, node.out<float>() + at);
    }
  }
}

}  // namespace

const Kernel LOG_SOFTMAX = {Prepare, Invoke};

}  // namespace hil::kernels
