// The raw sensor window and its element type (docs/pipeline.md).
#pragma once

#include <cstdint>

#include "base/span.h"
#include "pipeline/element_type.h"

namespace hil {

struct WindowFormat {
  ElementType type;
  uint32_t samples;
  uint32_t channels;
};

constexpr uint64_t WindowElements(const WindowFormat& format) {
  return static_cast<uint64_t>(format.samples) * format.channels;
}

// Of a format that a bundle was accepted with, which fits into a frame.
constexpr size_t WindowBytes(const WindowFormat& format) {
  return static_cast<size_t>(WindowElements(format)) * ElementBytes(format.type);
}

}  // namespace hil
