// The registers that this port uses, named once. CMSDK peripherals: Arm DDI 0479; core: ARMv7-M manual.
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

struct SysTick {
  volatile uint32_t control, reload, value, calibration;
};
constexpr uint32_t kSysTickRun = 7;  // core clock, interrupt, enable
inline SysTick& systick = *reinterpret_cast<SysTick*>(0xE000E010);

struct SystemControl {
  volatile uint32_t cpuid, icsr, vtor, aircr, scr, ccr, shpr[3], shcsr, cfsr, hfsr, dfsr, mmfar, bfar, afsr;
};
inline SystemControl& scb = *reinterpret_cast<SystemControl*>(0xE000ED00);
inline volatile uint32_t& cpacr = *reinterpret_cast<volatile uint32_t*>(0xE000ED88);
inline volatile uint32_t& fpccr = *reinterpret_cast<volatile uint32_t*>(0xE000EF34);

struct Mpu {
  volatile uint32_t type, control, number, base, attributes;
};
inline Mpu& mpu = *reinterpret_cast<Mpu*>(0xE000ED90);

}  // namespace hil::mps2
