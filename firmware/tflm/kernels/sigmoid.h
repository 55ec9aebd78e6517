// The logistic function and the hyperbolic tangent of 16-bit numbers, by one table of the former.
#pragma once

#include <cstdint>
#include <cstdlib>

#include "tensorflow/lite/kernels/internal/common.h"
#include "tensorflow/lite/kernels/internal/quantization_util.h"

namespace hil::kernels {

// From the input's scale to 1 / (3 * 4096), on which the table has 24 entries a unit: x * fraction / 2^shift, rounded.
struct ToTable {
  int32_t fraction = 3;
  int shift = 0;
};

// small_shift: up to which one a scale of 2^(shift - 12), or nearly so, is taken for that power of two.
inline ToTable ToTableOf(float scale, int small_shift) {
  int power = 0;
  if (tflite::CheckedLog2(scale, &power) && power + 12 >= 0 && power + 12 <= small_shift) {
    return {3 << (power + 12), 0};
  }
  double factor = static_cast<double>(scale) * 4096.0 * 3.0;
  int shift = 0;
  for (; factor <= 32767.0 / 2.0 && shift <= 30; ++shift) {
    factor *= 2.0;
  }
  return {static_cast<int32_t>(factor), shift};
}

inline int32_t InTable(int16_t x, const ToTable& to) {
  const int32_t half = to.shift > 0 ? int32_t{1} << (to.shift - 1) : 0;
  return (x * to.fraction + half) >> to.shift;
}

// Entry of sigmoid(|x|) in Q16, interpolated with `bits` of the argument, as Q(16 + bits). What lies beyond the table
// is not asked for.
inline uint32_t TableAt(uint32_t amount, int bits) {
  const uint32_t index = amount >> bits;
  const uint32_t low = tflite::sigmoid_table_uint16[index];
  const uint32_t high = tflite::sigmoid_table_uint16[index + 1];
  return (low << bits) + (amount & ((1u << bits) - 1)) * (high - low);
}

// 1 / (1 + exp(-x)) in Q15
inline int16_t Sigmoid(int16_t x, const ToTable& to) {
  const int32_t at = InTable(x, to);
  const auto amount = static_cast<uint32_t>(std::abs(at));
  uint32_t result = amount >> 9 >= 255 ? 0x7FFFu << 10 : TableAt(amount, 9);
  result = at >= 0 ? result + (1u << 9) : (1u << 25) - result + (1u << 9) - 1;
  return static_cast<int16_t>(result >> 10);
}

// tanh(x) in Q15: 2 * sigmoid(2 * x) - 1
inline int16_t Tanh(int16_t x, const ToTable& to) {
  const int32_t at = InTable(x, to);
  const auto amount = static_cast<uint32_t>(std::abs(at));
  const auto twice = static_cast<int32_t>(amount >> 8 >= 255 ? 0xFFFFu << 8 : TableAt(amount, 8));
  constexpr int32_t kHalf = 1 << 23;
  constexpr int32_t kRound = 1 << 7;
  const int32_t result = at >= 0 ? twice - kHalf + kRound : kHalf - twice + kRound - 1;
  return static_cast<int16_t>(result >> 8);
}

}  // namespace hil::kernels
