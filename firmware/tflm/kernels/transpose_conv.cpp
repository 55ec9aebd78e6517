// TRANSPOSE_CONV of int8, int16 (sums of 64 bits) and float32, with one weight scale or one for each output channel.
//
// Each output is computed at once from the inputs that reach it, where TFLM's adds each input to all outputs that it
// reaches: the integer sums are the same, and no memory is needed for them.
#include "tflm/kernels/arithmetic.h"
#include "tflm/kernels/kernel.h"
#include "tflm/kernels/shape.h"

namespace hil::kernels {
namespace {

struct State {
  int stride_y, stride_x, pad_y, pad_x;
  Factor* factors;  // one for each output channel
  Range range;
};

constexpr size_t kWeights = 1;
constexpr size_t kInput = 2;
constexpr size_t kBias = 3;

// What stands over at the front, as a forward convolution from the output's size to the input's pads it.
int Padding(TfLitePadding padding, int size, int window, int stride) {
  if (padding == kTfLitePaddingValid) {
    return 0;
  }
  const int steps = (size + stride - 1) / stride;
  return std::max((steps - 1) * stride + window - size, 0) / 2;
}

bool Prepare(const Node& node) {
  const TfLiteTensor& weights = node.input(kWeights);
  const TfLiteTensor& input = node.input(kInput);
  const TfLiteTensor& output = node.output();
  const auto& options = node.options<TfLiteTransposeConvParams>();
  auto* const state = node.AllocateState<State>();
  if (state == nullptr || input.type != output.type || input.dims->size != 4 || weights.dims->size != 4 ||
      output.dims->size != 4 || options.stride_height < 1 || options.stride_width < 1) {
    return false;
  }
  const int* const out = output.dims->data;
  const int* const window = weights.dims->data;
  if (window[0] != out[3] || window[3] != input.dims->data[3] || out[0] != input.dims->data[0]) {
    return false;
  }
  *state = {options.stride_height,
            options.stride_width,
            Padding(options.padding, out[1], window[1], options.stride_height),
            Padding(options.padding, out[2], window[2], options.stride_width),
            nullptr,
            RangeOf(output.type)};
  if (input.type == kTfLiteFloat32) {
    return weights.type == kTfLiteFloat32;
  }
  const bool wide = input.type == kTfLiteInt16;
  const int scales = ScaleCount(weights);
  if ((input.type != kTfLiteInt8 && !wide) || weights.type != kTfLiteInt8 || (scales != 1 && scales != out[3]) ||
      (node.has(kBias) && node.input(kBias).type != (wide ? kTfLiteInt64 : kTfLiteInt32))) {
    return false;
  }
  state->factors = node.Allocate<Factor>(static_cast<size_t>(out[3]));
  for (int channel = 0; state->factors != nullptr && channel < out[3]; ++channel) {
    const double product = static_cast<double>(input.params.scale) * static_cast<double>(ScaleOf(weights, channel));
    state->factors[channel] = FactorOf(product / static_cast<double>(output.params.scale));
  }
  return state->factors != nullptr;
}

template <typename T, typename Weight, typename Sum, typename Done>
void Run(const Node& node, const Done& done) {
  const State& state = node.state<State>();
  const int* const in = node.input(kInput).dims->data;
  const int* const window = node.input(kWeights).dims->data;
  const int* const to = node.output().dims->data;
  const auto zero = static_cast<Sum>(node.input(kInput).params.zero_point);
  const int depth = in[3];
  T* out = node.out<T>();
  for (int batch = 0; batch < to[0]; ++batch) {
    for (int y = 0; y < to[1]; ++y) {
      for (int x = 0; x < to[2]; ++x) {
        for (int channel = 0; channel < to[3]; ++channel) {
          Sum sum = 0;
          for (int row = 0; row < in[1]; ++row) {
            const int window_y = y + state.pad_y - row * state.stride_y;
            if (window_y < 0 || window_y >= window[1]) {
              continue;
            }
            for (int column = 0; column < in[2]; ++column) {
              const int window_x = x + state.pad_x - column * state.stride_x;
              if (window_x < 0 || window_x >= window[2]) {
                continue;
              }
              const T* const a = node.in<T>(kInput) + ((batch * in[1] + row) * in[2] + column) * depth;
              const Weight* const b =
                  node.in<Weight>(kWeights) + ((channel * window[1] + window_y) * window[2] + window_x) * depth;
              for (int i = 0; i < depth; ++i) {
                sum += (static_cast<Sum>(a[i]) - zero) * static_cast<Sum>(b[i]);
              }
            }
          }
          *out++ = done(sum, channel);
        }
      }
    }
  }
}

template <typename T, typename Sum>
void Quantised(const Node& node) {
  const State& state = node.state<State>();
  const Sum* const bias = node.optional<Sum>(kBias);
  const int32_t zero = node.output().params.zero_point;
  Run<T, int8_t, Sum>(node, [&](Sum sum, int channel) {
    const Sum whole = bias != nullptr ? sum + bias[channel] : sum;
    return static_cast<T>(Clamped(ScaledSum(whole, state.factors[channel]) + zero, state.range));
  });
}

void Invoke(const Node& node) {
  if (node.output().type == kTfLiteInt8) {
    Quantised<int8_t, int32_t>(node);
  } else if (node.output().type == kTfLiteInt16) {
    Quantised<int16_t, int64_t>(node);
  } else {
    const float* const bias = node.optional<float>(kBias);
    Run<float, float, float>(node, [=](float sum, int channel) { return bias != nullptr ? sum + bias[channel] : sum; });
  }
}

}  // namespace

const Kernel TRANSPOSE_CONV = {Prepare, Invoke};

}  // namespace hil::kernels
