// A function of a 16-bit number as a table of 512 steps, between which it is interpolated.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

namespace hil::kernels {

class Lookup {
 public:
  // The function's values from `low` on, in 512 steps of `step`, for outputs of which `unit` go into one. Each value is
  // moved by half of what interpolation errs by in the middle of its step.
  template <typename Function>
  void Fill(float low, float high, float unit, const Function& function) {
    constexpr float kLeast = std::numeric_limits<int16_t>::min();
    constexpr float kMost = std::numeric_limits<int16_t>::max();
    const float step = (high - low) / static_cast<float>(kSteps);
    const auto stored = [=](float value) { return static_cast<int16_t>(std::min(std::max(value, kLeast), kMost)); };
    for (int i = 0; i < kSteps; ++i) {
      const float at = low + static_cast<float>(i) * step;
      const float value = std::round(function(at) * unit);
      const float middle = std::round(function(at + step / 2) * unit);
      const float next = function(low + static_cast<float>(i + 1) * step) * unit;
      const float interpolated = std::round((next + value) / 2);
      values_[i] = stored(value - std::round((interpolated - middle) / 2));
    }
    values_[kSteps] = stored(std::round(function(high) * unit));
  }

  int16_t At(int16_t value) const {
    const int index = kSteps / 2 + (value >> 7);
    const int offset = value & 0x7F;
    const int slope = values_[index + 1] - values_[index];
    return static_cast<int16_t>(values_[index] + ((slope * offset + 64) >> 7));
  }

 private:
  static constexpr int kSteps = 512;
  int16_t values_[kSteps + 1];
};

}  // namespace hil::kernels
