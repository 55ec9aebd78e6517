// Which operators an image has: all that there are, or, in one that is cut to a model (CMake target hil_firmware_cut),
// those that the model needs. What no table names is not linked.
#pragma once

#include <array>
#include <cstddef>

#include "tensorflow/lite/schema/schema_generated.h"

namespace hil {

#ifdef HIL_CUT
constexpr tflite::BuiltinOperator kNeeded[] = {
#define HIL_NEEDED(name) tflite::BuiltinOperator_##name,
#include "needed_operators.inc"  // hil/image/build.py writes it into the binary folder
#undef HIL_NEEDED
};

constexpr bool Needed(tflite::BuiltinOperator code) {
  for (const tflite::BuiltinOperator needed : kNeeded) {
    if (needed == code) {
      return true;
    }
  }
  return false;
}
#else
constexpr bool Needed(tflite::BuiltinOperator) { return true; }
#endif

template <typename Row, size_t kRows>
constexpr size_t CountNeeded(const Row (&rows)[kRows]) {
  size_t count = 0;
  for (const Row& row : rows) {
    count += Needed(row.code) ? 1 : 0;
  }
  return count;
}

// The rows of a table of operators that this image has; kCount is what CountNeeded says of it.
template <size_t kCount, typename Row, size_t kRows>
constexpr std::array<Row, kCount> KeepNeeded(const Row (&rows)[kRows]) {
  std::array<Row, kCount> kept{};
  size_t count = 0;
  for (const Row& row : rows) {
    if (Needed(row.code)) {
      kept[count++] = row;
    }
  }
  return kept;
}

}  // namespace hil
