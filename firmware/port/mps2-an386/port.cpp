// The port of the MPS2 AN386: UART log, timer 0 as clock, watchdog by NMI, sleep between polls.
#include "port/port.h"

#include "port/mps2-an386/registers.h"

extern "C" {
// Linker script.
extern uint32_t __hil_stack_low[], __hil_stack_top[];
extern const uint8_t __hil_bundle_start[], __hil_bundle_bytes[];

void SysTickHandler() {}  // its only use is to end a WFI
}

namespace hil::mps2 {

constexpr uint32_t kCoreHz = 25000000;
constexpr uint32_t kIdleHz = 1000;

void StartPeripherals() {
  uart0.bauddiv = 217;  // 115200 baud; the UART does not send with less than 16
  uart0.control = kUartTxEnable;
  systick.reload = kCoreHz / kIdleHz - 1;
  timer0.reload = UINT32_MAX;
  timer0.control = kTimerEnable;
}

}  // namespace hil::mps2

namespace hil::port {

using namespace hil::mps2;

const char* const kClockName = "cmsdk-timer0";
const uint32_t kClockHz = kCoreHz;

void LogWrite(const char* text, size_t size) {
  for (size_t i = 0; i < size; ++i) {
    while ((uart0.state & kUartTxFull) != 0) {
    }
    uart0.data = static_cast<uint8_t>(text[i]);
  }
}

// The timer runs all the time and counts down. Writing its value restarts its period, so a job always begins at the
// same phase.
void ClockStart() { timer0.value = UINT32_MAX; }

uint32_t ClockNow() { return UINT32_MAX - timer0.value; }

void MaskInterrupts() { asm volatile("cpsid i" ::: "memory"); }
void UnmaskInterrupts() { asm volatile("cpsie i" ::: "memory"); }

// Runs at the clock's frequency. It raises the NMI, which no mask holds back. It counts while disarmed, too, and keeps
// the interrupt pending when it comes to its end: that one belongs to the time before, and is taken away first.
void WatchdogArm(uint32_t ticks) {
  watchdog.load = ticks != 0 ? ticks : UINT32_MAX;
  watchdog.clear = 1;
  watchdog.control = kWatchdogInterrupt;
}

void WatchdogDisarm() { watchdog.control = 0; }

void Idle(uint32_t polls) {
  // About 2 ms of an emulator's time at its usual speed: a conversation never sees a sleep.
  constexpr uint32_t kSpins = 100000;
  if (polls < kSpins) {
    return;
  }
  systick.value = 0;
  systick.control = kSysTickRun;
  asm volatile("wfi" ::: "memory");
  systick.control = 0;
}

void MemoryBarrier() { asm volatile("dmb" ::: "memory"); }

Span<uint32_t> Stack() {
  return Span<uint32_t>(__hil_stack_low, static_cast<size_t>(__hil_stack_top - __hil_stack_low));
}

Bytes BundleRegion() { return Bytes(__hil_bundle_start, reinterpret_cast<size_t>(__hil_bundle_bytes)); }

}  // namespace hil::port
