// FULLY_CONNECTED with one weight scale for each output, with more than two output dimensions, and with 16-bit
// activations (sums of 64 bits).
#include "tflm/kernels/arithmetic.h"
#include "tflm/kernels/kernel.h"
#include "tflm/kernels/shape.h"

namespace hil::kernels {
namespace {

struct State {
  Range range;
  int outputs;     // of each row
  int inputs;      // of each row
  int rows;        // everything before the last axis
  bool each;       // a factor for each output
  bool long_bias;  // 64 bits; without a bias the sum has them, too
  Factor* factors;
};

bool Prepare(const Node& node) {
  const TfLiteTensor& input = node.input(0);
  const TfLiteTensor& weights = node.input(1);
  const TfLiteTensor& output = node.output();
  auto* const state = node.AllocateState<State>();
  if (state == nullptr || input.type != output.type || (input.type != kTfLiteInt8 && input.type != kTfLiteInt16) ||
      weights.type != kTfLiteInt8 || weights.dims->size != 2 || output.dims->size < 1) {
    return false;
  }
  state->outputs = weights.dims->data[0];
  state->inputs = weights.dims->data[1];
  state->rows = Elements(output) / std::max(state->outputs, 1);
  const int scales = ScaleCount(weights);
  if (state->outputs < 1 || output.dims->data[output.dims->size - 1] != state->outputs ||
      Elements(input) != state->rows * state->inputs || (scales != 1 && scales != state->outputs)) {
    return false;
  }
  const bool wide = input.type == kTfLiteInt16;
  state->long_bias = wide && node.has(2) && node.input(2).type == kTfLiteInt64;
  if (node.has(2) &&
      (Elements(node.input(2)) != state->outputs || (!state->long_bias && node.input(2).type != kTfLiteInt32))) {
    return false;
  }
  state->each = scales > 1;
  state->factors = node.Allocate<Factor>(static_cast<size_t>(scales));
  if (state->factors == nullptr) {
    return false;
  }
  for (int channel = 0; channel < scales; ++channel) {
    const double product = static_cast<double>(input.params.scale) * static_cast<double>(ScaleOf(weights, channel));
    state->factors[channel] = FactorOf(product / static_cast<double>(output.params.scale));
  }
  return ActivationRange(node.options<TfLiteFullyConnectedParams>().activation, output, &state->range);
}

template <typename T, typename Sum, typename Bias>
void Run(const Node& node) {
  const State& state = node.state<State>();
  const int32_t input_zero = node.input(0).params.zero_point;
  const int32_t weight_zero = state.each ? 0 : node.input(1).params.zero_point;
  const int32_t output_zero = node.output().params.zero_point;
  const T* row = node.in<T>(0);
  const Bias* const bias = node.optional<Bias>(2);
  T* out = node.out<T>();
  for (int number = 0; number < state.rows; ++number, row += state.inputs) {
    const int8_t* weights = node.in<int8_t>(1);
    for (int output = 0; output < state.outputs; ++output, weights += state.inputs) {
      Sum sum = bias != nullptr ? static_cast<Sum>(bias[output]) : 0;
      for (int i = 0; i < state.inputs; ++i) {
        sum += (row[i] - input_zero) * (weights[i] - weight_zero);
      }
      const Factor factor = state.factors[state.each ? output : 0];
      *out++ = static_cast<T>(Clamped(ScaledSum(sum, factor) + output_zero, state.range));
    }
  }
}

void Invoke(const Node& node) {
  if (node.input(0).type == kTfLiteInt8) {
    Run<int8_t, int32_t, int32_t>(node);
  } else if (node.state<State>().long_bias || !node.has(2)) {
    Run<int16_t, int64_t, int64_t>(node);
  } else {
    Run<int16_t, int32_t, int32_t>(node);
  }
}

bool Instead(const Node& node) {
  const TfLiteType type = node.input(0).type;
  return type == kTfLiteInt16 ||
         (type == kTfLiteInt8 && (ScaleCount(node.input(1)) > 1 || node.output().dims->size != 2));
}

}  // namespace

const Kernel FULLY_CONNECTED = {Prepare, Invoke, Instead};

}  // namespace hil::kernels
