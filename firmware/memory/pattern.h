// Painted memory: how much of it nothing has written yet.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/span.h"

namespace hil {

void Paint(Span<uint32_t> words, uint32_t pattern);

// Number of words from the start that still hold the pattern.
size_t CountPainted(Span<const uint32_t> words, uint32_t pattern);

}  // namespace hil
