#include "pipeline/prepare.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace hil {
namespace {

constexpr int32_t kInt8Min = std::numeric_limits<int8_t>::min();
constexpr int32_t kInt8Max = std::numeric_limits<int8_t>::max();

uint64_t ElementsOfWindow(const PrepareParameters&, const WindowFormat& window) { return WindowElements(window); }

// ---- tensor/1: the window is the tensor --------------------------------------------------------------------------

bool TensorValid(const PrepareParameters&, const WindowFormat&, uint32_t*) { return true; }

void TensorRun(const PrepareParameters&, const WindowFormat&, Bytes window, int32_t, Span<int8_t> tensor) {
  std::memcpy(tensor.data(), window.data(), tensor.size());
}

// ---- scale/1: sensor counts, per channel offset and gain
// -------------------------------------------------------------

bool ScaleValid(const PrepareParameters& parameters, const WindowFormat& window, uint32_t* index) {
  *index = 0;
  if (parameters.channel_count == 0) {
    return false;
  }
  for (size_t c = 0; c < parameters.channel_count; ++c) {
    if (parameters.channels[c].source >= window.channels) {
      *index = static_cast<uint32_t>(c);
      return false;
    }
  }
  return true;
}

uint64_t ScaleElements(const PrepareParameters& parameters, const WindowFormat& window) {
  return static_cast<uint64_t>(window.samples) * parameters.channel_count;
}

int8_t ScaleOne(int16_t count, const ScaleChannel& channel, int32_t zero_point) {
  // |count - offset| < 2^32 and |gain| <= 2^31: the product and the rounding term fit 64 bits.
  const int64_t acc = (static_cast<int64_t>(count) - channel.offset) * channel.gain;
  const int64_t q = zero_point + ((acc + (int64_t{1} << 30)) >> 31);
  return static_cast<int8_t>(std::clamp<int64_t>(q, kInt8Min, kInt8Max));
}

void ScaleRun(const PrepareParameters& parameters, const WindowFormat& format, Bytes window, int32_t zero_point,
              Span<int8_t> tensor) {
  int8_t* out = tensor.data();
  for (uint32_t sample = 0; sample < format.samples; ++sample) {
    const size_t row = static_cast<size_t>(sample) * format.channels;
    for (size_t c = 0; c < parameters.channel_count; ++c) {
      const ScaleChannel& channel = parameters.channels[c];
      *out++ = ScaleOne(LoadElement<int16_t>(window, row + channel.source), channel, zero_point);
    }
  }
}

// ---- quantize/1: physical units, one factor
// --------------------------------------------------------------------------

bool QuantizeValid(const PrepareParameters& parameters, const WindowFormat&, uint32_t* index) {
  *index = 0;
  return std::isfinite(parameters.factor) && parameters.factor > 0.0f;
}

void QuantizeRun(const PrepareParameters& parameters, const WindowFormat&, Bytes window, int32_t zero_point,
                 Span<int8_t> tensor) {
  for (size_t i = 0; i < tensor.size(); ++i) {
    const float y = std::clamp(LoadElement<float>(window, i) * parameters.factor, -1024.0f, 1024.0f);
    const int64_t q = zero_point + static_cast<int64_t>(static_cast<int32_t>(std::floor(y + 0.5f)));
    tensor[i] = static_cast<int8_t>(std::clamp<int64_t>(q, kInt8Min, kInt8Max));
  }
}

constexpr PrepareStage kStages[] = {
    {"tensor", 1, ElementType::kInt8, TensorValid, ElementsOfWindow, TensorRun},
    {"scale", 1, ElementType::kInt16, ScaleValid, ScaleElements, ScaleRun},
    {"quantize", 1, ElementType::kFloat32, QuantizeValid, ElementsOfWindow, QuantizeRun},
};

}  // namespace

Span<const PrepareStage> PrepareStages() { return kStages; }

}  // namespace hil
