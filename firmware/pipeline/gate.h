// The validity gate: decides whether a window may be used at all (docs/pipeline.md).
#pragma once

#include <cstdint>

#include "base/span.h"
#include "pipeline/window.h"

namespace hil {

enum class GateReason : uint8_t { kValid = 0, kLength = 1, kStale = 2, kNonfinite = 3, kRange = 4, kFlat = 5 };

struct GateParameters {
  float minimum;
  float maximum;
  float min_span;
};

class Gate {
 public:
  void Configure(const WindowFormat& format, const GateParameters& parameters) {
    format_ = format;
    bytes_ = WindowBytes(format);
    parameters_ = parameters;
  }

  // `capture` is the window's capture number. The first rule that holds is the answer.
  GateReason Check(uint32_t capture, Bytes window);

 private:
  WindowFormat format_{};
  size_t bytes_ = 0;  // of a whole window
  GateParameters parameters_{};
  bool seen_ = false;
  uint32_t last_capture_ = 0;
};

}  // namespace hil
