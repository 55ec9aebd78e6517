// What the two files of the native port share.
#pragma once

#include <cstdint>

#include "base/span.h"

#define HIL_NATIVE_GUARD_BYTES 65536
#define HIL_TEXT_OF(value) #value
#define HIL_TEXT(value) HIL_TEXT_OF(value)

namespace hil::native {

constexpr size_t kStackBytes = HIL_STACK_BYTES;
constexpr size_t kStackGuardBytes = HIL_NATIVE_GUARD_BYTES;

// The memory that the firmware's thread runs on: guard first, then the stack.
Span<uint8_t> StackMemory();

// Directs signals and sanitizer reports of the calling thread to the fault record. `watchdog_signal` is the watchdog's.
void InstallFaultHandlers(int watchdog_signal);

}  // namespace hil::native
