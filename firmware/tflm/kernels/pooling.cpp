// MAX_POOL_2D and AVERAGE_POOL_2D of int16. What of a window lies outside the image does not count.
#include "tflm/kernels/arithmetic.h"
#include "tflm/kernels/kernel.h"
#include "tflm/kernels/shape.h"

namespace hil::kernels {
namespace {

struct State {
  int pad_y, pad_x;
  Range range;
};

int Padding(int from, int to, int window, int stride) { return std::max((to - 1) * stride + window - from, 0) / 2; }

bool Prepare(const Node& node) {
  const TfLiteTensor& input = node.input(0);
  const TfLiteTensor& output = node.output();
  const auto& options = node.options<TfLitePoolParams>();
  auto* const state = node.AllocateState<State>();
  if (state == nullptr || input.type != kTfLiteInt16 || output.type != kTfLiteInt16 || input.dims->size != 4 ||
      output.dims->size != 4 || options.stride_height < 1 || options.stride_width < 1 || options.filter_height < 1 ||
      options.filter_width < 1) {
    return false;
  }
  const int* const from = input.dims->data;
  const int* const to = output.dims->data;
  if (options.padding == kTfLitePaddingSame) {
    state->pad_y = Padding(from[1], to[1], options.filter_height, options.stride_height);
    state->pad_x = Padding(from[2], to[2], options.filter_width, options.stride_width);
  } else {
    *state = {};
  }
  // The last window has something of the image in it.
  return from[0] == to[0] && from[3] == to[3] && (to[1] - 1) * options.stride_height - state->pad_y < from[1] &&
         (to[2] - 1) * options.stride_width - state->pad_x < from[2] &&
         ActivationRange(options.activation, output, &state->range);
}

// finish(sum or largest, count)
template <typename Add, typename Finish>
void Run(const Node& node, int32_t begin, const Add& add, const Finish& finish) {
  const State& state = node.state<State>();
  const auto& options = node.options<TfLitePoolParams>();
  const int* const from = node.input(0).dims->data;
  const int* const to = node.output().dims->data;
  auto* out = node.out<int16_t>();
  for (int batch = 0; batch < to[0]; ++batch) {
    const int16_t* const image = node.in<int16_t>() + batch * from[1] * from[2] * from[3];
    for (int y = 0; y < to[1]; ++y) {
      const int top = y * options.stride_height - state.pad_y;
      for (int x = 0; x < to[2]; ++x) {
        const int left = x * options.stride_width - state.pad_x;
        for (int channel = 0; channel < to[3]; ++channel) {
          int32_t value = begin;
          int32_t count = 0;
          for (int row = std::max(top, 0); row < std::min(top + options.filter_height, from[1]); ++row) {
            for (int column = std::max(left, 0); column < std::min(left + options.filter_width, from[2]); ++column) {
              value = add(value, image[(row * from[2] + column) * from[3] + channel]);
              ++count;
            }
          }
          *out++ = static_cast<int16_t>(Clamped(finish(value, count), state.range));
        }
      }
    }
  }
}

void InvokeMax(const Node& node) {
  Run(
      node, std::numeric_limits<int16_t>::min(),
      [](int32_t found, int16_t value) { return std::max<int32_t>(found, value); },
      [](int32_t found, int32_t) { return found; });
}

void InvokeAverage(const Node& node) {
  Run(
      node, 0, [](int32_t sum, int16_t value) { return sum + value; },
      [](int32_t sum, int32_t count) {
        return (sum > 0 ? sum + count / 2 : sum - count / 2) / std::max<int32_t>(count, 1);
      });
}

bool IsWide(const Node& node) { return node.input(0).type == kTfLiteInt16; }

}  // namespace

const Kernel MAX_POOL_2D = {Prepare, InvokeMax, IsWide};
const Kernel AVERAGE_POOL_2D = {Prepare, InvokeAverage, IsWide};

}  // namespace hil::kernels
