// The raw sensor window and its element type (docs/pipeline.md).
#pragma once

#include <cstdint>
#include <cstring>

#include "base/span.h"

namespace hil {

// Numbers of TensorType in the TFLite schema.
enum class ElementType : uint8_t { kFloat32 = 0, kInt16 = 7, kInt8 = 9 };

struct WindowFormat {
  ElementType type;
  uint32_t samples;
  uint32_t channels;
};

// 0 for a type that no window has.
constexpr uint32_t ElementBytes(ElementType type) {
  switch (type) {
    case ElementType::kFloat32:
      return 4;
    case ElementType::kInt16:
      return 2;
    case ElementType::kInt8:
      return 1;
  }
  return 0;
}

constexpr uint64_t WindowElements(const WindowFormat& format) {
  return static_cast<uint64_t>(format.samples) * format.channels;
}

// Element `index` of a window; the bytes need no alignment. Little-endian, as all targets are.
template <typename T>
T LoadElement(Bytes window, size_t index) {
  T value;
  std::memcpy(&value, window.data() + index * sizeof(T), sizeof(T));
  return value;
}

}  // namespace hil
