// CONV_2D and DEPTHWISE_CONV_2D of 16-bit activations and 8-bit weights: sums of 64 bits, of 32 where the bias has 32.
#include "tflm/kernels/arithmetic.h"
#include "tflm/kernels/kernel.h"
#include "tflm/kernels/shape.h"

namespace hil::kernels {
namespace {

// How a window is laid along one axis.
struct Steps {
  int stride, dilation, padding;
};

struct State {
  Steps y, x;
  int multiplier;   // outputs of each input channel; 0: each output takes in all of them
  Factor* factors;  // one for each output channel
  Range range;
  bool narrow;  // sums of 32 bits
};

Steps StepsOf(TfLitePadding padding, int from, int to, int window, int stride, int dilation) {
  const int reach = (window - 1) * dilation + 1;
  const int total = std::max((to - 1) * stride + reach - from, 0);
  return {stride, dilation, padding == kTfLitePaddingSame ? total / 2 : 0};
}

int OutputSize(TfLitePadding padding, int from, int window, int stride, int dilation) {
  const int reach = (window - 1) * dilation + 1;
  const int places = padding == kTfLitePaddingSame ? from : from - reach + 1;
  return (places + stride - 1) / stride;
}

// Options: of either operator; they have the same names.
template <typename Options>
bool PrepareWindow(const Node& node, const Options& options, State* state) {
  const int* const from = node.input(0).dims->data;
  const int* const window = node.input(1).dims->data;
  const int* const to = node.output().dims->data;
  const int down = options.stride_height;
  const int right = options.stride_width;
  const int apart_y = options.dilation_height_factor;
  const int apart_x = options.dilation_width_factor;
  if (down < 1 || right < 1 || apart_y < 1 || apart_x < 1 ||
      (options.padding != kTfLitePaddingSame && options.padding != kTfLitePaddingValid)) {
    return false;
  }
  state->y = StepsOf(options.padding, from[1], to[1], window[1], down, apart_y);
  state->x = StepsOf(options.padding, from[2], to[2], window[2], right, apart_x);
  return from[0] == to[0] && OutputSize(options.padding, from[1], window[1], down, apart_y) == to[1] &&
         OutputSize(options.padding, from[2], window[2], right, apart_x) == to[2] &&
         ActivationRange(options.activation, node.output(), &state->range);
}

bool PrepareFactors(const Node& node, State* state) {
  const TfLiteTensor& input = node.input(0);
  const TfLiteTensor& weights = node.input(1);
  const TfLiteTensor& output = node.output();
  const int channels = output.dims->data[3];
  const int scales = ScaleCount(weights);
  if (scales != 1 && scales != channels) {
    return false;
  }
  state->narrow = node.has(2) && node.input(2).type == kTfLiteInt32;
  if (node.has(2) && (Elements(node.input(2)) != channels || (!state->narrow && node.input(2).type != kTfLiteInt64))) {
    return false;
  }
  state->factors = node.Allocate<Factor>(static_cast<size_t>(channels));
  for (int channel = 0; state->factors != nullptr && channel < channels; ++channel) {
    const double product = static_cast<double>(input.params.scale) * static_cast<double>(ScaleOf(weights, channel));
    state->factors[channel] = FactorOf(product / static_cast<double>(output.params.scale));
  }
  return state->factors != nullptr;
}

bool AreOfItsTypes(const Node& node) {
  const TfLiteTensor& input = node.input(0);
  const TfLiteTensor& weights = node.input(1);
  return input.type == kTfLiteInt16 && node.output().type == kTfLiteInt16 && weights.type == kTfLiteInt8 &&
         input.dims->size == 4 && weights.dims->size == 4 && node.output().dims->size == 4;
}

bool PrepareConvolution(const Node& node) {
  auto* const state = node.AllocateState<State>();
  if (state == nullptr || !AreOfItsTypes(node)) {
    return false;
  }
  const int* const window = node.input(1).dims->data;
  state->multiplier = 0;
  return window[0] == node.output().dims->data[3] && window[3] == node.input(0).dims->data[3] &&
         PrepareWindow(node, node.options<TfLiteConvParams>(), state) && PrepareFactors(node, state);
}

bool PrepareDepthwise(const Node& node) {
  auto* const state = node.AllocateState<State>();
  if (state == nullptr || !AreOfItsTypes(node)) {
    return false;
  }
  const int* const window = node.input(1).dims->data;
  const int depth = node.input(0).dims->data[3];
  state->multiplier = window[3] / std::max(depth, 1);
  return window[0] == 1 && window[3] == node.output().dims->data[3] && state->multiplier * depth == window[3] &&
         PrepareWindow(node, node.options<TfLiteDepthwiseConvParams>(), state) && PrepareFactors(node, state);
}

// Calls visit(place in the image, place in the window), without depth, for what of the window lies inside the image.
template <typename Visit>
void ForEachInside(const State& state, const int* from, const int* window, int y, int x, const Visit& visit) {
  for (int window_y = 0; window_y < window[1]; ++window_y) {
    const int in_y = y * state.y.stride - state.y.padding + window_y * state.y.dilation;
    for (int window_x = 0; window_x < window[2]; ++window_x) {
      const int in_x = x * state.x.stride - state.x.padding + window_x * state.x.dilation;
      if (in_y >= 0 && in_y < from[1] && in_x >= 0 && in_x < from[2]) {
        visit(in_y * from[2] + in_x, window_y * window[2] + window_x);
      }
    }
  }
}

template <typename Sum>
void Run(const Node& node) {
  const State& state = node.state<State>();
  const int* const from = node.input(0).dims->data;
  const int* const window = node.input(1).dims->data;
  const int* const to = node.output().dims->data;
  const int8_t* const weights = node.in<int8_t>(1);
  const Sum* const bias = node.optional<Sum>(2);
  const int depth = from[3];
  const int channels = to[3];
  const int area = window[1] * window[2];
  auto* out = node.out<int16_t>();
  for (int batch = 0; batch < to[0]; ++batch) {
    const int16_t* const image = node.in<int16_t>(0) + batch * from[1] * from[2] * depth;
    for (int y = 0; y < to[1]; ++y) {
      for (int x = 0; x < to[2]; ++x) {
        for (int channel = 0; channel < channels; ++channel) {
          Sum sum = bias != nullptr ? bias[channel] : 0;
          ForEachInside(state, from, window, y, x, [&](int place, int tap) {
            const int16_t* const in = image + place * depth;
            if (state.multiplier != 0) {
              sum += static_cast<Sum>(in[channel / state.multiplier]) * weights[tap * channels + channel];
              return;
            }
            const int8_t* const row = weights + (channel * area + tap) * depth;
            for (int i = 0; i < depth; ++i) {
              sum += static_cast<Sum>(in[i]) * row[i];
            }
          });
          *out++ = static_cast<int16_t>(Clamped(ScaledSum(sum, state.factors[channel]), state.range));
        }
      }
    }
  }
}

void InvokeConvolution(const Node& node) {
  if (node.state<State>().narrow) {
    Run<int32_t>(node);
  } else {
    Run<int64_t>(node);
  }
}

bool IsWide(const Node& node) { return node.input(0).type == kTfLiteInt16; }

}  // namespace

const Kernel CONV_2D = {PrepareConvolution, InvokeConvolution, IsWide};
const Kernel DEPTHWISE_CONV_2D = {PrepareDepthwise, InvokeConvolution, IsWide};

}  // namespace hil::kernels
