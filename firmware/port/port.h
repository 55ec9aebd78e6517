// What a target gives the firmware. A port is these functions, a linker script and a port.cmake.
//
// The port owns main() or the reset handler. It sets up the clock, log and fault handlers, paints the stack
// (memory/stack.h) and then calls AppMain() on that stack.
//
// Its linker script places the section `.hil_shared` in RAM that the host can read and that a reset leaves alone, and
// defines __hil_bundle_start and __hil_bundle_bytes.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/span.h"
#include "link/hil_port.h"

namespace hil {

// The application; the port calls it once. It does not return.
[[noreturn]] void AppMain();

namespace port {

// Name of the tick source and its frequency.
extern const char* const kClockName;
extern const uint32_t kClockHz;

void LogWrite(const char* text, size_t size);

// Starts counting at 0, with the same phase each time; ClockNow() gives the ticks since then.
void ClockStart();
uint32_t ClockNow();

// Nothing but the watchdog interrupts what lies between these two.
void MaskInterrupts();
void UnmaskInterrupts();

// After `ticks` of the clock without WatchdogDisarm(), the port leaves a fault record of kind deadline and parks.
// 0: the longest time that the port can do.
void WatchdogArm(uint32_t ticks);
void WatchdogDisarm();

// Interrupt masks, and the faults that the core has gathered, as they are now.
struct CoreState {
  uint32_t primask, basepri, faultmask, fault_status;
};

// False where there are no such registers.
bool ReadCoreState(CoreState* state);

// Goes `rounds` times round a loop that stores how many are left. On a core it takes three instructions a round.
void Spin(uint32_t rounds, volatile uint32_t* left);

// Called in a loop while there is nothing to do; `polls` counts the calls since there last was. The port spins at
// first, so that a host in conversation gets its answer at once, and sleeps between polls later.
void Idle(uint32_t polls);

// A stream of bytes that is the link, in place of the rings in RAM; null where there is none.
const hil_port* Stream();

// What was written before is visible to the host before what is written after.
void MemoryBarrier();

// The stack that AppMain() runs on, painted before the call, lowest address first, guard left out.
Span<uint32_t> Stack();

// The region that holds the bundle (linker script).
Bytes BundleRegion();

}  // namespace port
}  // namespace hil
