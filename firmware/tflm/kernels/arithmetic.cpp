#include "tflm/kernels/arithmetic.h"

#include <cmath>

namespace hil::kernels {

Factor FactorOf(double value) {
  constexpr int64_t kOne = int64_t{1} << 31;
  constexpr int kLeastShift = -31;
  int shift = 0;
  auto fraction = static_cast<int64_t>(std::round(std::frexp(value, &shift) * static_cast<double>(kOne)));
  if (fraction == kOne) {
    fraction /= 2;
    ++shift;
  }
  if (shift < kLeastShift) {
    return {};
  }
  return {static_cast<int32_t>(fraction), shift};
}

Range RangeOf(TfLiteType type) {
  switch (type) {
    case kTfLiteInt8:
      return {std::numeric_limits<int8_t>::min(), std::numeric_limits<int8_t>::max()};
    case kTfLiteInt16:
      return {std::numeric_limits<int16_t>::min(), std::numeric_limits<int16_t>::max()};
    default:
      return {std::numeric_limits<int32_t>::min(), std::numeric_limits<int32_t>::max()};
  }
}

bool ActivationRange(TfLiteFusedActivation activation, FloatRange* range) {
  constexpr float kMost = std::numeric_limits<float>::max();
  switch (activation) {
    case kTfLiteActNone:
      *range = {-kMost, kMost};
      return true;
    case kTfLiteActRelu:
      *range = {0.0f, kMost};
      return true;
    case kTfLiteActRelu1:  // called ReluN1To1 elsewhere
      *range = {-1.0f, 1.0f};
      return true;
    case kTfLiteActRelu6:
      *range = {0.0f, 6.0f};
      return true;
    default:
      return false;
  }
}

bool ActivationRange(TfLiteFusedActivation activation, const TfLiteTensor& output, Range* range) {
  FloatRange real;
  if (!ActivationRange(activation, &real)) {
    return false;
  }
  const auto quantised = [&output](float value) {
    return output.params.zero_point + static_cast<int32_t>(std::round(value / output.params.scale));
  };
  const Range whole = RangeOf(output.type);
  *range = whole;
  if (real.low > -std::numeric_limits<float>::max()) {
    range->low = std::max(whole.low, quantised(real.low));
  }
  if (real.high < std::numeric_limits<float>::max()) {
    range->high = std::min(whole.high, quantised(real.high));
  }
  return true;
}

namespace {

const TfLiteAffineQuantization* Affine(const TfLiteTensor& tensor) {
  return tensor.quantization.type == kTfLiteAffineQuantization
             ? static_cast<const TfLiteAffineQuantization*>(tensor.quantization.params)
             : nullptr;
}

}  // namespace

int ScaleCount(const TfLiteTensor& tensor) {
  const auto* const affine = Affine(tensor);
  return affine != nullptr && affine->scale != nullptr ? affine->scale->size : 1;
}

float ScaleOf(const TfLiteTensor& tensor, int channel) {
  const auto* const affine = Affine(tensor);
  return ScaleCount(tensor) > 1 ? affine->scale->data[channel] : tensor.params.scale;
}

}  // namespace hil::kernels
