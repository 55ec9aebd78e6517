// The port of the MPS2 AN386: UART log, timer 0 as clock, watchdog by NMI.
#include "port/port.h"

#include "port/cortex-m4/core.h"
#include "port/cortex-m4/cortex_m4.h"
#include "port/mps2-an386/registers.h"

namespace hil {
namespace {

using namespace mps2;

constexpr uint32_t kCoreHz = 25000000;
constexpr uint32_t kIdleHz = 1000;

}  // namespace

namespace cortex_m4 {

constexpr uint32_t kNmi = 2;
const uint32_t kWatchdogException = kNmi;

void ProtectMemory() {
  SetRegion(0, 0x00000000, 22, kReadOnly);                              // code and constants
  SetRegion(1, 0x20000000, 22, kReadWrite | kExecuteNever);             // RAM
  SetRegion(2, 0x21000000, 24, kReadWrite | kExecuteNever);             // shared with the host
  SetRegion(3, 0x21000000, 23, kReadOnly | kExecuteNever, 0b11100001);  // of that, the bundle: like flash
  SetRegion(4, 0x00000000, 10, kNone | kExecuteNever);                  // null pointers
  SetStackGuard(5);
}

void StartPeripherals() {
  uart0.bauddiv = 217;  // 115200 baud; the UART does not send with less than 16
  uart0.control = kUartTxEnable;
  systick.reload = kCoreHz / kIdleHz - 1;
  timer0.reload = UINT32_MAX;
  timer0.control = kTimerEnable;
}

void StopPeripherals() {
  watchdog.control = 0;
  timer0.control = 0;
}

}  // namespace cortex_m4

namespace port {

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
  if (polls >= kSpins) {
    cortex_m4::SleepForATick();
  }
}

}  // namespace port
}  // namespace hil
