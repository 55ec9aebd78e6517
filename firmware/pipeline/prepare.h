// The preparation stages: window to input tensor, of any type that a model takes (docs/pipeline.md).
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

// Fills `tensor`, elements() elements of `type`, from a window that passed the gate.
using PrepareRun = void (*)(const PrepareParameters& parameters, const WindowFormat& format, Bytes window,
                            ElementType type, int32_t zero_point, Span<uint8_t> tensor);

struct PrepareStage {
  const char* id;
  uint32_t version;

  ElementSet windows;   // that it takes
  ElementSet tensors;   // that it makes
  bool same_type;       // the window has the tensor's type
  PrepareRun run_int8;  // makes int8 tensors
  PrepareRun run_any;   // makes all of them

  // False when a parameter is invalid; `index` says which channel, 0 for the factor.
  bool (*valid)(const PrepareParameters& parameters, const WindowFormat& window, uint32_t* index);

  // Number of tensor elements that the stage yields.
  uint64_t (*elements)(const PrepareParameters& parameters, const WindowFormat& window);
};

// All stages of this firmware.
Span<const PrepareStage> PrepareStages();

}  // namespace hil
