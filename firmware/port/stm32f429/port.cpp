// The port of the STM32F429: USART3 log, DWT cycle counter as clock, watchdog by TIM5.
#include "port/port.h"

#include <algorithm>
#include <array>

#include "base/log.h"
#include "port/cortex-m4/core.h"
#include "port/cortex-m4/cortex_m4.h"
#include "port/stm32f429/clock.h"
#include "port/stm32f429/registers.h"

namespace hil {
namespace {

using namespace stm32f429;
using cortex_m4::demcr;
using cortex_m4::dwt;
using cortex_m4::nvic;
using cortex_m4::scb;
using cortex_m4::systick;

constexpr uint32_t kIdleHz = 1000;
constexpr uint32_t kTicksPerWatchdogTick = kCoreHz / kApb1TimerHz;
static_assert(kTicksPerWatchdogTick * kApb1TimerHz == kCoreHz);

// Priorities: 0 is the highest, and the upper four bits count. The watchdog has 0, like the faults.
constexpr uint32_t kLowestPriority = 0xF0;
constexpr uint32_t kMaskAllBut0 = 0x10;

constexpr uint32_t kBaud = 115200;

constexpr uint32_t BaudDivider(uint32_t bus_hz) { return (bus_hz + kBaud / 2) / kBaud; }

// Within 1 %, of the 2.5 % or so that a receiver allows both ends together.
constexpr bool GoodBaud(uint32_t bus_hz) {
  const uint32_t actual = bus_hz / BaudDivider(bus_hz);
  return actual >= kBaud - kBaud / 100 && actual <= kBaud + kBaud / 100;
}
static_assert(GoodBaud(kApb1Hz) && GoodBaud(kResetHz));

uint32_t clock_base;

void StartLog(uint32_t bus_hz) {
  constexpr uint32_t kTxPin = 8;  // PD8, to the ST-LINK's virtual COM port
  constexpr uint32_t kUsart3Function = 7;
  rcc.ahb1enr = rcc.ahb1enr | kGpioDClock;
  rcc.apb1enr = rcc.apb1enr | kUsart3Clock;
  asm volatile("dsb" ::: "memory");
  gpiod.afrh = gpiod.afrh | kUsart3Function << 4 * (kTxPin - 8);
  gpiod.moder = (gpiod.moder & ~(kAnyMode << 2 * kTxPin)) | kAlternateFunction << 2 * kTxPin;
  usart3.brr = BaudDivider(bus_hz);
  usart3.cr1 = kUsartEnable | kUsartTransmit;
}

// A debugger keeps its access while the core sleeps, and a deadline does not pass while the core is halted.
void StartDebug() {
  dbgmcu.cr = dbgmcu.cr | kDebugInSleep;
  dbgmcu.apb1_fz = dbgmcu.apb1_fz | kTim5StopsInHalt;
}

void StartCycleCounter() {
  demcr = demcr | cortex_m4::kTraceEnable;
  dwt.control = dwt.control | cortex_m4::kDwtCountCycles;
}

// Right behind a barrier: all that came before has been executed, and an emulator that counts whole blocks of
// instructions begins a new one there, so that its count is exact.
uint32_t CycleCount() {
  uint32_t count;
  asm volatile("isb\n\tldr %0, [%1]" : "=r"(count) : "r"(&dwt.cyccnt) : "memory");
  return count;
}

void StartWatchdog() {
  rcc.apb1enr = rcc.apb1enr | kTim5Clock;
  asm volatile("dsb" ::: "memory");
  tim5.dier = kTimerUpdate;
  nvic.enable[kTim5Interrupt / 32] = 1u << kTim5Interrupt % 32;
  scb.shpr[2] = scb.shpr[2] | kLowestPriority << cortex_m4::kSysTickPriorityShift;
}

}  // namespace

namespace cortex_m4 {

const uint32_t kWatchdogException = 16 + kTim5Interrupt;

void ProtectMemory() {
  SetRegion(0, 0x08000000, 21, kReadOnly);                   // code and constants
  SetRegion(1, 0x08100000, 20, kReadOnly | kExecuteNever);   // of that, the bundle
  SetRegion(2, 0x10000000, 16, kReadWrite | kExecuteNever);  // core-coupled RAM
  SetRegion(3, 0x20000000, 18, kReadWrite | kExecuteNever);  // SRAM
  SetRegion(4, 0x00000000, 10, kNone | kExecuteNever);       // null pointers: flash shows there, too
  SetStackGuard(5);
}

void StartPeripherals() {
  StartDebug();
  const char* const failure = StartClock();
  StartLog(failure == nullptr ? kApb1Hz : kResetHz);
  if (failure != nullptr) {
    Log("clock: ");
    Log(failure);
    Log("\n");
    Abort(__builtin_return_address(0));
  }
  systick.reload = kCoreHz / kIdleHz - 1;
  StartCycleCounter();
  StartWatchdog();
}

void StopPeripherals() { tim5.cr1 = 0; }

}  // namespace cortex_m4

namespace port {

const char* const kClockName = "dwt-cyccnt";
const uint32_t kClockHz = kCoreHz;

// A UART that does not get rid of its bytes costs the log, not the firmware.
void LogWrite(const char* text, size_t size) {
  constexpr uint32_t kTries = kCoreHz / kBaud * 10;  // one character takes as many cycles, a look at the flag several
  for (size_t i = 0; i < size; ++i) {
    for (uint32_t tries = 0; (usart3.sr & kUsartTransmitEmpty) == 0; ++tries) {
      if (tries == kTries) {
        return;
      }
    }
    usart3.dr = static_cast<uint8_t>(text[i]);
  }
}

// The counter runs on for ever; a debugger may be reading it.
void ClockStart() { clock_base = CycleCount(); }

uint32_t ClockNow() { return CycleCount() - clock_base; }

void MaskInterrupts() { asm volatile("msr basepri, %0" ::"r"(kMaskAllBut0) : "memory"); }
void UnmaskInterrupts() { asm volatile("msr basepri, %0" ::"r"(0) : "memory"); }

// One shot. An interrupt that is still pending belongs to the time before, and is taken away first.
void WatchdogArm(uint32_t ticks) {
  tim5.cr1 = 0;
  tim5.cnt = 0;
  tim5.arr = ticks != 0 ? std::max<uint32_t>(ticks / kTicksPerWatchdogTick, 1) : UINT32_MAX;
  tim5.sr = 0;
  static_cast<void>(tim5.sr);  // read back: the request is gone before what was pending is taken away
  nvic.unpend[kTim5Interrupt / 32] = 1u << kTim5Interrupt % 32;
  tim5.cr1 = kTimerRun | kTimerOnce;
}

void WatchdogDisarm() { tim5.cr1 = 0; }

void Idle(uint32_t polls) {
  // A third of a second, so that a host in conversation never meets a sleeping core.
  constexpr uint32_t kSpins = 1000000;
  if (polls >= kSpins) {
    cortex_m4::SleepForATick();
  }
}

}  // namespace port
}  // namespace hil

// Only the watchdog's is ever enabled; another one leaves a record, too.
using Handler = void (*)();
constexpr std::array<Handler, hil::stm32f429::kInterrupts> AllFaults() {
  std::array<Handler, hil::stm32f429::kInterrupts> handlers{};
  for (Handler& handler : handlers) {
    handler = FaultHandler;
  }
  return handlers;
}
__attribute__((section(".vectors.device"), used)) extern constexpr std::array<Handler, hil::stm32f429::kInterrupts>
    kDeviceVectors = AllFaults();
