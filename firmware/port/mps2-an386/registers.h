// The device registers that this port uses, named once. CMSDK peripherals: Arm DDI 0479.
#pragma once

#include <cstdint>

namespace hil::mps2 {

struct Uart {
  volatile uint32_t data, state, control, interrupt, bauddiv;
};
constexpr uint32_t kUartTxFull = 1u << 0;
constexpr uint32_t kUartTxEnable = 1u << 0;
inline Uart& uart0 = *reinterpret_cast<Uart*>(0x40004000);

struct Timer {
  volatile uint32_t control, value, reload, interrupt;
};
constexpr uint32_t kTimerEnable = 1u << 0;
inline Timer& timer0 = *reinterpret_cast<Timer*>(0x40000000);

struct Watchdog {
  volatile uint32_t load, value, control, clear, raw_status, status;
};
constexpr uint32_t kWatchdogInterrupt = 1u << 0;  // the interrupt is the core's NMI
inline Watchdog& watchdog = *reinterpret_cast<Watchdog*>(0x40008000);

}  // namespace hil::mps2
