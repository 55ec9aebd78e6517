// SOFTMAX of int16, by tables of the exponential and of the reciprocal.
#include "tflm/kernels/arithmetic.h"
#include "tflm/kernels/elementwise.h"
#include "tflm/kernels/lookup.h"

namespace hil::kernels {
namespace {

constexpr float kDeepest = 10.0f;  // a power of less than -10 counts as this
constexpr int32_t kOne = 32767;

struct State {
  int rows, depth;
  Factor factor;      // to the steps in which [-10, 0] has 65535
  Lookup power;       // exp(x) of [-10, 0]
  Lookup reciprocal;  // 1 / (1 + x) of [0, 1]
};

bool Prepare(const Node& node) {
  const TfLiteTensor& input = node.input(0);
  auto* const state = node.AllocateState<State>();
  if (state == nullptr || !SameTypeAndSize(node) || input.type != kTfLiteInt16 || input.dims->size < 1 ||
      input.params.zero_point != 0 || node.output().params.zero_point != 0 ||
      std::abs(node.output().params.scale * 32768.0f - 1.0f) > 0.001f) {
    return false;
  }
  state->depth = input.dims->data[input.dims->size - 1];
  state->rows = Elements(input) / std::max(state->depth, 1);
  const auto beta = static_cast<double>(node.options<TfLiteSoftmaxParams>().beta);
  state->factor = FactorOf(static_cast<double>(input.params.scale) * beta / (10.0 / 65535.0));
  constexpr int kRange = 65535;
  // The ends and the unit as they come out of the scales 10 / 65535, 1 / 65535 and 2 / 65535 in float32.
  constexpr float kPowerScale = kDeepest / kRange;
  constexpr float kShareScale = 1.0f / kRange;
  constexpr float kOutputScale = 2.0f / kRange;
  constexpr float kUnit = 65536.0f / (kOutputScale * 32767.0f - kOutputScale * -32768.0f);
  state->power.Fill(kPowerScale * -65535.0f, 0.0f, kUnit, [](float x) { return std::exp(x); });
  state->reciprocal.Fill(0.0f, kShareScale * 65535.0f, kUnit, [](float x) { return 1.0f / (1.0f + x); });
  return true;
}

int16_t Short(int32_t value) { return Saturated<int16_t>(value); }

void Row(const State& state, const int16_t* in, int16_t* out) {
  const int16_t largest = *std::max_element(in, in + state.depth);
  int32_t sum = 0;
  for (int i = 0; i < state.depth; ++i) {
    out[i] = state.power.At(Short(Scaled(in[i] - largest, state.factor) + kOne));
    sum += out[i];
  }
  const int zeros = __builtin_clz(static_cast<uint32_t>(sum));
  const auto normal = static_cast<int32_t>(((static_cast<int64_t>(sum) << (zeros - 1)) + (1 << 13)) >> 14);
  const int16_t reciprocal = state.reciprocal.At(Short(normal - ((1 << 15) + (1 << 16))));
  const int shift = 31 - zeros;
  for (int i = 0; i < state.depth; ++i) {
    const int64_t product = static_cast<int64_t>(out[i]) * reciprocal;
    const auto share = static_cast<int32_t>((product + (int64_t{1} << (shift - 1))) >> shift);
    out[i] = static_cast<int16_t>(std::min(std::max<int32_t>(share, 0), kOne));
  }
}

void Invoke(const Node& node) {
  const State& state = node.state<State>();
  for (int row = 0; row < state.rows; ++row) {
    Row(state, node.in<int16_t>() + row * state.depth, node.out<int16_t>() + row * state.depth);
  }
}

bool IsWide(const Node& node) { return node.input(0).type == kTfLiteInt16; }

}  // namespace

const Kernel SOFTMAX = {Prepare, Invoke, IsWide};

}  // namespace hil::kernels
