// DIV of int8, int32 and float32. A division of integers by zero, which has no specified result, gives the largest
// amount with the dividend's sign.
#include "tensorflow/lite/kernels/internal/common.h"
#include "tflm/kernels/arithmetic.h"
#include "tflm/kernels/broadcast.h"

namespace hil::kernels {
namespace {

struct State {
  Broadcast broadcast;
  Factor factor;
  Range range;
  FloatRange real_range;
};

bool Prepare(const Node& node) {
  auto* const state = node.AllocateState<State>();
  const TfLiteFusedActivation activation = node.options<TfLiteDivParams>().activation;
  if (state == nullptr || !PrepareBroadcast(node, &state->broadcast)) {
    return false;
  }
  switch (node.output().type) {
    case kTfLiteInt8: {
      const float scales = node.input(1).params.scale * node.output().params.scale;
      state->factor = FactorOf(static_cast<double>(node.input(0).params.scale / scales));
      return ActivationRange(activation, node.output(), &state->range);
    }
    case kTfLiteInt32: {
      FloatRange real;
      const Range whole = RangeOf(kTfLiteInt32);
      state->range = whole;
      if (!ActivationRange(activation, &real)) {
        return false;
      }
      if (activation != kTfLiteActNone) {
        state->range = {static_cast<int32_t>(real.low),
                        activation == kTfLiteActRelu ? whole.high : static_cast<int32_t>(real.high)};
      }
      return true;
    }
    case kTfLiteFloat32:
      return ActivationRange(activation, &state->real_range);
    default:
      return false;
  }
}

// dividend / divisor times the factor: by the reciprocal of the divisor in [1, 2) and the shifts that are left over.
int32_t Quotient(int32_t dividend, int32_t divisor, Factor factor) {
  if (divisor == 0) {
    return dividend < 0 ? std::numeric_limits<int16_t>::min() : std::numeric_limits<int16_t>::max();
  }
  if (divisor < 0) {
    dividend = -dividend;
    divisor = -divisor;
  }
  const int zeros = __builtin_clz(static_cast<uint32_t>(divisor));
  const auto normal = static_cast<int32_t>((static_cast<uint32_t>(divisor) << zeros) - (uint32_t{1} << 31));
  const int32_t reciprocal =
      gemmlowp::one_over_one_plus_x_for_x_in_0_1(gemmlowp::FixedPoint<int32_t, 0>::FromRaw(normal)).raw();
  const uint32_t amount = static_cast<uint32_t>(dividend < 0 ? ~dividend : dividend);
  const int headroom = (amount == 0 ? 32 : __builtin_clz(amount)) - 1;
  const int32_t quotient = RoundingHighProduct(ShiftLeft(dividend, headroom), reciprocal);
  const int shift = factor.shift - (31 - zeros) - headroom;
  return RoundingShiftRight(RoundingHighProduct(quotient, factor.fraction), std::clamp(-shift, 0, 31));
}

void Invoke(const Node& node) {
  const State& state = node.state<State>();
  const int32_t first_zero = node.input(0).params.zero_point;
  const int32_t second_zero = node.input(1).params.zero_point;
  const int32_t zero = node.output().params.zero_point;
  switch (node.output().type) {
    case kTfLiteInt8:
      ForEachPair<int8_t>(node, state.broadcast, [&](int8_t a, int8_t b) {
        const int32_t quotient = Quotient(a - first_zero, b - second_zero, state.factor);
        return static_cast<int8_t>(Clamped(quotient + zero, state.range));
      });
      break;
    case kTfLiteInt32:
      ForEachPair<int32_t>(node, state.broadcast, [&](int32_t a, int32_t b) {
        const int64_t most = a < 0 ? std::numeric_limits<int32_t>::min() : std::numeric_limits<int32_t>::max();
        const int64_t quotient = b == 0 ? most : static_cast<int64_t>(a) / b;
        const int64_t largest = std::numeric_limits<int32_t>::max();
        return Clamped(static_cast<int32_t>(std::min(quotient, largest)), state.range);
      });
      break;
    default:
      ForEachPair<float>(node, state.broadcast, [&](float a, float b) { return Clamped(a / b, state.real_range); });
  }
}

}  // namespace

const Kernel DIV = {Prepare, Invoke};

}  // namespace hil::kernels
