// The device registers that this port uses, named once (ST RM0090, STM32F405/415/407/417/427/437/429/439).
#pragma once

#include <cstdint>

namespace hil::stm32f429 {

struct Rcc {
  volatile uint32_t cr, pllcfgr, cfgr, cir, ahb1rstr, ahb2rstr, ahb3rstr, reserved0, apb1rstr, apb2rstr, reserved1[2],
      ahb1enr, ahb2enr, ahb3enr, reserved2, apb1enr, apb2enr;
};
static_assert(sizeof(Rcc) == 0x48, "APB2ENR lies at 0x44");
inline Rcc& rcc = *reinterpret_cast<Rcc*>(0x40023800);
constexpr uint32_t kHseOn = 1u << 16;  // cr
constexpr uint32_t kHseReady = 1u << 17;
constexpr uint32_t kHseBypass = 1u << 18;
constexpr uint32_t kPllOn = 1u << 24;
constexpr uint32_t kPllReady = 1u << 25;
constexpr uint32_t kPllNShift = 6;  // pllcfgr
constexpr uint32_t kPllPShift = 16;
constexpr uint32_t kPllFromHse = 1u << 22;
constexpr uint32_t kPllQShift = 24;
constexpr uint32_t kSwitchPll = 2u << 0;  // cfgr
constexpr uint32_t kSwitchStatus = 3u << 2;
constexpr uint32_t kSwitchedPll = 2u << 2;
constexpr uint32_t kApb1Divide4 = 5u << 10;
constexpr uint32_t kApb2Divide2 = 4u << 13;
constexpr uint32_t kGpioDClock = 1u << 3;  // ahb1enr
constexpr uint32_t kTim5Clock = 1u << 3;   // apb1enr
constexpr uint32_t kUsart3Clock = 1u << 18;
constexpr uint32_t kPowerClock = 1u << 28;

struct Power {
  volatile uint32_t cr, csr;
};
inline Power& power = *reinterpret_cast<Power*>(0x40007000);
constexpr uint32_t kScale1 = 3u << 14;  // cr
constexpr uint32_t kOverDriveOn = 1u << 16;
constexpr uint32_t kOverDriveSwitch = 1u << 17;
constexpr uint32_t kOverDriveReady = 1u << 16;  // csr
constexpr uint32_t kOverDriveSwitched = 1u << 17;

inline volatile uint32_t& flash_acr = *reinterpret_cast<volatile uint32_t*>(0x40023C00);
constexpr uint32_t kLatency = 15u << 0;
constexpr uint32_t kPrefetch = 1u << 8;
constexpr uint32_t kInstructionCache = 1u << 9;
constexpr uint32_t kDataCache = 1u << 10;
constexpr uint32_t kResetInstructionCache = 1u << 11;
constexpr uint32_t kResetDataCache = 1u << 12;

struct Gpio {
  volatile uint32_t moder, otyper, ospeedr, pupdr, idr, odr, bsrr, lckr, afrl, afrh;
};
inline Gpio& gpiod = *reinterpret_cast<Gpio*>(0x40020C00);
constexpr uint32_t kAlternateFunction = 2;  // of a pin's two bits in moder
constexpr uint32_t kAnyMode = 3;

struct Usart {
  volatile uint32_t sr, dr, brr, cr1;
};
inline Usart& usart3 = *reinterpret_cast<Usart*>(0x40004800);
constexpr uint32_t kUsartTransmitEmpty = 1u << 7;  // sr
constexpr uint32_t kUsartEnable = 1u << 13;        // cr1
constexpr uint32_t kUsartTransmit = 1u << 3;

struct Timer {
  volatile uint32_t cr1, cr2, smcr, dier, sr, egr, ccmr1, ccmr2, ccer, cnt, psc, arr;
};
inline Timer& tim5 = *reinterpret_cast<Timer*>(0x40000C00);
constexpr uint32_t kTim5Interrupt = 50;
constexpr uint32_t kTimerRun = 1u << 0;  // cr1
constexpr uint32_t kTimerOnce = 1u << 3;
constexpr uint32_t kTimerUpdate = 1u << 0;  // dier

struct Debug {
  volatile uint32_t idcode, cr, apb1_fz;
};
inline Debug& dbgmcu = *reinterpret_cast<Debug*>(0xE0042000);
constexpr uint32_t kDebugInSleep = 1u << 0;     // cr
constexpr uint32_t kTim5StopsInHalt = 1u << 3;  // apb1_fz

constexpr uint32_t kInterrupts = 91;

}  // namespace hil::stm32f429
