// RESIZE_BILINEAR of int8, in fixed point with 10 bits behind the point, and of float32.
#include <cmath>

#include "tflm/kernels/arithmetic.h"
#include "tflm/kernels/kernel.h"
#include "tflm/kernels/shape.h"

namespace hil::kernels {
namespace {

constexpr int32_t kOne = 1 << 10;

struct Axis {
  int from, to;  // sizes
  bool corners;  // those of both images are the same points
};

// Between which two places of the input a place of the output lies, and how far behind the first.
template <typename Number>
struct Between {
  int first, second;
  Number share;
};

Between<int32_t> FixedPlace(int at, const Axis& axis, bool half) {
  const bool corners = axis.corners && axis.to > 1;
  const int32_t from = corners ? axis.from - 1 : axis.from;
  const int32_t to = corners ? axis.to - 1 : axis.to;
  const int32_t scale = (kOne * from + to / 2) / to;
  const int32_t place = half ? at * scale + scale / 2 - kOne / 2 : at * scale;
  const int32_t first = std::max<int32_t>(place / kOne, 0);
  const int32_t second = std::min<int32_t>((place + kOne - 1) / kOne, axis.from - 1);
  return {static_cast<int>(first), static_cast<int>(second), place - kOne * first};
}

Between<float> RealPlace(int at, const Axis& axis, bool half) {
  const bool corners = axis.corners && axis.to > 1;
  const float scale = corners ? static_cast<float>(axis.from - 1) / static_cast<float>(axis.to - 1)
                              : static_cast<float>(axis.from) / static_cast<float>(axis.to);
  const auto index = static_cast<float>(at);
  const float place = half ? (index + 0.5f) * scale - 0.5f : index * scale;
  const int first = std::max(static_cast<int>(std::floor(place)), 0);
  const int second = std::min(static_cast<int>(std::ceil(place)), axis.from - 1);
  return {first, second, place - static_cast<float>(first)};
}

int8_t Mixed(int8_t a, int8_t b, int8_t c, int8_t d, int32_t y, int32_t x) {
  const int64_t sum = static_cast<int64_t>(a) * (kOne - y) * (kOne - x) + static_cast<int64_t>(c) * y * (kOne - x) +
                      static_cast<int64_t>(b) * (kOne - y) * x + static_cast<int64_t>(d) * y * x;
  const int64_t half = sum > 0 ? 1 << 19 : -(1 << 19);
  return static_cast<int8_t>((sum + half) / (1 << 20));
}

float Mixed(float a, float b, float c, float d, float y, float x) {
  return a * (1.0f - y) * (1.0f - x) + c * y * (1.0f - x) + b * (1.0f - y) * x + d * y * x;
}

bool Prepare(const Node& node) {
  const TfLiteTensor& input = node.input(0);
  const TfLiteTensor& size = node.input(1);
  const TfLiteTensor& output = node.output();
  const auto& options = node.options<TfLiteResizeBilinearParams>();
  if ((input.type != kTfLiteInt8 && input.type != kTfLiteFloat32) || input.type != output.type ||
      input.dims->size != 4 || output.dims->size != 4 || !IsConstant(size) || size.type != kTfLiteInt32 ||
      Elements(size) != 2 || (options.align_corners && options.half_pixel_centers)) {
    return false;
  }
  const int* const to = output.dims->data;
  const int* const from = input.dims->data;
  return to[1] == node.in<int32_t>(1)[0] && to[2] == node.in<int32_t>(1)[1] && to[0] == from[0] && to[3] == from[3];
}

template <typename T, typename Place>
void Run(const Node& node, const Place& place) {
  const auto& options = node.options<TfLiteResizeBilinearParams>();
  const int* const from = node.input(0).dims->data;
  const int* const to = node.output().dims->data;
  const int depth = to[3];
  T* out = node.out<T>();
  for (int batch = 0; batch < to[0]; ++batch) {
    const T* const in = node.in<T>() + batch * from[1] * from[2] * depth;
    for (int y = 0; y < to[1]; ++y) {
      const auto row = place(y, Axis{from[1], to[1], options.align_corners}, options.half_pixel_centers);
      for (int x = 0; x < to[2]; ++x) {
        const auto column = place(x, Axis{from[2], to[2], options.align_corners}, options.half_pixel_centers);
        const T* const a = in + (row.first * from[2] + column.first) * depth;
        const T* const b = in + (row.first * from[2] + column.second) * depth;
        const T* const c = in + (row.second * from[2] + column.first) * depth;
        const T* const d = in + (row.second * from[2] + column.second) * depth;
        for (int channel = 0; channel < depth; ++channel) {
          *out++ = Mixed(a[channel], b[channel], c[channel], d[channel], row.share, column.share);
        }
      }
    }
  }
}

void Invoke(const Node& node) {
  if (node.output().type == kTfLiteInt8) {
    Run<int8_t>(node, FixedPlace);
  } else {
    Run<float>(node, RealPlace);
  }
}

}  // namespace

const Kernel RESIZE_BILINEAR = {Prepare, Invoke};

}  // namespace hil::kernels
