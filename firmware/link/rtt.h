// SEGGER RTT: a control block with two rings in RAM that the host reads and writes while the core runs.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/span.h"

namespace hil {

constexpr size_t kRttUpBytes = HIL_RTT_UP_BYTES;      // device to host
constexpr size_t kRttDownBytes = HIL_RTT_DOWN_BYTES;  // host to device; holds a whole frame

// Empties both rings and makes the control block visible. A block that a former run left in RAM is made invalid first.
void RttStart();

// The next received bytes that lie in one piece; empty when there are none. They stay in the ring until RttDrop().
Bytes RttPeek();
void RttDrop(size_t count);

// Writes as much as fits now; returns how much that was.
size_t RttWrite(Bytes data);

}  // namespace hil
