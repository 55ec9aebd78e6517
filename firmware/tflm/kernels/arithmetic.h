// The arithmetic of quantised operators: fixed-point factors and their rounding, activation ranges, scales.
//
// A factor is a Q31 fraction and a power of two; a product is rounded when it is halved to 32 bits and again when it is
// shifted ("double rounding"), as TFLite's reference kernels do.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

#include "tensorflow/lite/c/builtin_op_data.h"
#include "tensorflow/lite/c/common.h"

namespace hil::kernels {

struct Factor {
  int32_t fraction = 0;  // Q31
  int shift = 0;         // to the left when positive
};

// The factor nearest to a real number >= 0; one below 2^-32 is zero.
Factor FactorOf(double value);

// a * b / 2^31, rounded; saturates in the one case that overflows.
inline int32_t RoundingHighProduct(int32_t a, int32_t b) {
  constexpr int32_t kLeast = std::numeric_limits<int32_t>::min();
  if (a == kLeast && b == kLeast) {
    return std::numeric_limits<int32_t>::max();
  }
  const int64_t product = static_cast<int64_t>(a) * b;
  const int64_t half = product >= 0 ? (int64_t{1} << 30) : 1 - (int64_t{1} << 30);
  return static_cast<int32_t>((product + half) / (int64_t{1} << 31));
}

// x / 2^exponent, rounded to nearest, halves away from zero. exponent: 0 to 31.
inline int32_t RoundingShiftRight(int32_t x, int exponent) {
  const int32_t mask = static_cast<int32_t>((int64_t{1} << exponent) - 1);
  const int32_t rest = x & mask;
  const int32_t threshold = (mask >> 1) + (x < 0 ? 1 : 0);
  return (x >> exponent) + (rest > threshold ? 1 : 0);
}

inline int32_t ShiftLeft(int32_t x, int exponent) {
  return static_cast<int32_t>(static_cast<uint32_t>(x) << exponent);  // wraps, as the reference does
}

inline int32_t Scaled(int32_t x, Factor factor) {
  const int left = std::max(factor.shift, 0);
  const int right = std::max(-factor.shift, 0);
  return RoundingShiftRight(RoundingHighProduct(ShiftLeft(x, left), factor.fraction), right);
}

// The same of a 48-bit sum, as the kernels with 16-bit activations have it: the fraction has 16 bits there, and the
// product is rounded once, halves upwards. Its shift ends at 14; TFLM leaves one above 7 undefined.
inline int32_t ScaledLong(int64_t x, Factor factor) {
  const int32_t fraction = factor.fraction < 0x7FFF0000 ? (factor.fraction + (1 << 15)) >> 16 : 0x7FFF;
  const int shift = std::max(15 - factor.shift, 1);
  return static_cast<int32_t>((x * fraction + (int64_t{1} << (shift - 1))) >> shift);
}

inline int32_t ScaledSum(int32_t x, Factor factor) { return Scaled(x, factor); }
inline int32_t ScaledSum(int64_t x, Factor factor) { return ScaledLong(x, factor); }

template <typename T>
T Saturated(int32_t value) {
  return static_cast<T>(std::clamp<int32_t>(value, std::numeric_limits<T>::min(), std::numeric_limits<T>::max()));
}

struct Range {
  int32_t low = 0;
  int32_t high = 0;
};
struct FloatRange {
  float low = 0.0f;
  float high = 0.0f;
};

inline int32_t Clamped(int32_t value, Range range) { return std::min(std::max(value, range.low), range.high); }
inline float Clamped(float value, FloatRange range) { return std::min(std::max(value, range.low), range.high); }

// What the type holds. Of int8, uint8, int16 and int32.
Range RangeOf(TfLiteType type);

// What an activation lets through, in the quantised values of `output`. False for one that is not piecewise linear.
bool ActivationRange(TfLiteFusedActivation activation, const TfLiteTensor& output, Range* range);
bool ActivationRange(TfLiteFusedActivation activation, FloatRange* range);

// Scales of a tensor that may have one for each channel: how many, and the one of a channel.
int ScaleCount(const TfLiteTensor& tensor);
float ScaleOf(const TfLiteTensor& tensor, int channel);

inline bool IsQuantised(TfLiteType type) { return type == kTfLiteInt8 || type == kTfLiteUInt8 || type == kTfLiteInt16; }
inline bool SameQuantisation(const TfLiteTensor& a, const TfLiteTensor& b) {
  return a.params.scale == b.params.scale && a.params.zero_point == b.params.zero_point;
}

}  // namespace hil::kernels
