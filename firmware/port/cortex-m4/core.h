// The Armv7-M registers that the ports use, named once (Armv7-M Architecture Reference Manual, B3 and C1).
#pragma once

#include <cstdint>

namespace hil::cortex_m4 {

struct SysTick {
  volatile uint32_t control, reload, value, calibration;
};
constexpr uint32_t kSysTickRun = 7;  // core clock, interrupt, enable
inline SysTick& systick = *reinterpret_cast<SysTick*>(0xE000E010);

struct Nvic {  // one bit an interrupt
  volatile uint32_t enable[32], disable[32], pend[32], unpend[32], active[64];
  volatile uint8_t priority[240];
};
inline Nvic& nvic = *reinterpret_cast<Nvic*>(0xE000E100);
static_assert(sizeof(Nvic) == 0x300 + 240, "the priorities start at 0xE000E400");

struct SystemControl {
  volatile uint32_t cpuid, icsr, vtor, aircr, scr, ccr, shpr[3], shcsr, cfsr, hfsr, dfsr, mmfar, bfar, afsr;
};
constexpr uint32_t kMemBusUsageFaults = 7u << 16;  // shcsr
constexpr uint32_t kTrapDivideByZero = 1u << 4;    // ccr
constexpr uint32_t kSysTickPriorityShift = 24;     // shpr[2]
inline SystemControl& scb = *reinterpret_cast<SystemControl*>(0xE000ED00);

inline volatile uint32_t& cpacr = *reinterpret_cast<volatile uint32_t*>(0xE000ED88);
constexpr uint32_t kFpuAccess = 0xFu << 20;
inline volatile uint32_t& fpccr = *reinterpret_cast<volatile uint32_t*>(0xE000EF34);
constexpr uint32_t kStackFpuState = 3u << 30;

struct Mpu {
  volatile uint32_t type, control, number, base, attributes;
};
constexpr uint32_t kMpuEnableWithDefaultMap = 0b101;
inline Mpu& mpu = *reinterpret_cast<Mpu*>(0xE000ED90);

inline volatile uint32_t& demcr = *reinterpret_cast<volatile uint32_t*>(0xE000EDFC);
constexpr uint32_t kTraceEnable = 1u << 24;

struct Dwt {
  volatile uint32_t control, cyccnt;
};
constexpr uint32_t kDwtCountCycles = 1u << 0;
inline Dwt& dwt = *reinterpret_cast<Dwt*>(0xE0001000);

}  // namespace hil::cortex_m4
