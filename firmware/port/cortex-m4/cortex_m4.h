// What the ports to a Cortex-M4 share: reset, stacks, faults, sleep. A port supplies the functions of the first part.
#pragma once

#include <cstdint>

namespace hil::cortex_m4 {

// ---- what a port gives
// -----------------------------------------------------------------------------------------------

// Exception number that the watchdog of port.h raises.
extern const uint32_t kWatchdogException;

// Called once after reset, when memory is initialised: regions for the MPU (SetRegion), then clock, log and timers.
void ProtectMemory();
void StartPeripherals();

// Nothing may interrupt any more. Called by a handler.
void StopPeripherals();

// ---- what it gets
// ----------------------------------------------------------------------------------------------------

enum Access : uint32_t { kNone = 0u << 24, kReadWrite = 3u << 24, kReadOnly = 6u << 24 };
constexpr uint32_t kExecuteNever = 1u << 28;

// Region `number` of the MPU: 2^`log2_bytes` bytes at `base`, a multiple of the size. Where two overlap, the higher
// number counts. `skipped`: bit mask of the eighths that the region leaves out.
void SetRegion(uint32_t number, uint32_t base, uint32_t log2_bytes, uint32_t attributes, uint32_t skipped = 0);

// Makes the page below the stack inaccessible.
void SetStackGuard(uint32_t number);

// Sleeps for one period of the SysTick at most; whoever calls it has set `systick.reload`.
void SleepForATick();

// The program stops itself, with a fault record of kind abort. `caller` is where.
[[noreturn]] void Abort(const void* caller);

}  // namespace hil::cortex_m4

extern "C" void FaultHandler();  // for every exception that must not happen, and for the watchdog's
