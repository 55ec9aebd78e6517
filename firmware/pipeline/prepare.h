// The preparation stages: window to int8 input tensor, in fixed point (docs/pipeline.md).
//
// A new stage, or a new version of one, is a new line in the table of prepare.cpp.
#pragma once

#include <array>
#include <cstdint>

#include "base/span.h"
#include "pipeline/window.h"

namespace hil {

constexpr size_t kMaxTensorChannels = 32;

// One tensor channel of scale/1.
struct ScaleChannel {
  uint8_t source;  // window channel
  int32_t offset;  // counts
  int32_t gain;    // Q16.16, LSB of the tensor per full scale of 32768 counts
};

struct PrepareParameters {
  std::array<ScaleChannel, kMaxTensorChannels> channels;
  size_t channel_count;
  float factor;  // quantize/1: reciprocal of the tensor's scale
};

struct PrepareStage {
  const char* id;
  uint32_t version;
  ElementType window_type;

  // False when a parameter is invalid; `index` says which channel, 0 for the factor.
  bool (*valid)(const PrepareParameters& parameters, const WindowFormat& window, uint32_t* index);

  // Number of tensor elements that the stage yields.
  uint64_t (*elements)(const PrepareParameters& parameters, const WindowFormat& window);

  // Fills `tensor`, which has elements() elements, from a window that passed the gate.
  void (*run)(const PrepareParameters& parameters, const WindowFormat& format, Bytes window, int32_t zero_point,
              Span<int8_t> tensor);
};

// All stages of this firmware.
Span<const PrepareStage> PrepareStages();

}  // namespace hil
