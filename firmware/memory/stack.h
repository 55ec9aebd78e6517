// The painted stack: how deep it has been.
#pragma once

#include <cstdint>

#include "base/span.h"

namespace hil {

// Paints words that are not in use yet. The port calls it before it switches to the stack.
void PaintStack(Span<uint32_t> unused);

// Bytes of port::Stack() that were ever written, counted from its top.
uint32_t StackHighWater();

}  // namespace hil
