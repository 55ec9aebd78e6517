#include "port/stm32f429/clock.h"

#include "port/stm32f429/registers.h"

namespace hil::stm32f429 {
namespace {

constexpr uint32_t kHseHz = 8000000;
constexpr uint32_t kPllM = 4;
constexpr uint32_t kPllN = 180;
constexpr uint32_t kPllP = 2;
constexpr uint32_t kPllQ = 8;  // its output is not used

// The limits of RM0090, RCC_PLLCFGR, and of the data sheet.
constexpr uint32_t kPllInputHz = kHseHz / kPllM;
constexpr uint32_t kPllVcoHz = kPllInputHz * kPllN;
static_assert(kPllInputHz == 2000000, "recommended, against jitter");
static_assert(kPllVcoHz >= 100000000 && kPllVcoHz <= 432000000);
static_assert(kPllVcoHz / kPllP == kCoreHz);
static_assert(kPllVcoHz / kPllQ <= 48000000);
static_assert(kApb1Hz <= 45000000 && kCoreHz / 2 <= 90000000);

constexpr uint32_t kPllSetting =
    kPllM | kPllN << kPllNShift | (kPllP / 2 - 1) << kPllPShift | kPllFromHse | kPllQ << kPllQShift;
constexpr uint32_t kWaitStates = 5;  // RM0090, "Number of wait states": above 150 MHz at 2.7 to 3.6 V

// Looks at a flag, some ten cycles each, at kResetHz. All but the oscillator are ready within 0.3 ms; that one comes
// from the ST-LINK, which may still be starting itself.
constexpr uint32_t kLooks = 10000;
constexpr uint32_t kLooksAtOscillator = 100000;

bool Await(const volatile uint32_t& flags, uint32_t mask, uint32_t wanted, uint32_t looks = kLooks) {
  for (uint32_t i = 0; i < looks; ++i) {
    if ((flags & mask) == wanted) {
      return true;
    }
  }
  return false;
}

}  // namespace

// The order is that of RM0090, "Entering Over-drive mode", and "Increasing the CPU frequency": wait states first.
const char* StartClock() {
  rcc.apb1enr = rcc.apb1enr | kPowerClock;
  asm volatile("dsb" ::: "memory");  // errata ES0206: a peripheral answers only some cycles after its clock
  power.cr = power.cr | kScale1;
  rcc.cr = rcc.cr | kHseBypass;
  rcc.cr = rcc.cr | kHseOn;
  if (!Await(rcc.cr, kHseReady, kHseReady, kLooksAtOscillator)) {
    return "HSE not ready";
  }
  rcc.pllcfgr = kPllSetting;
  rcc.cr = rcc.cr | kPllOn;
  power.cr = power.cr | kOverDriveOn;
  if (!Await(power.csr, kOverDriveReady, kOverDriveReady)) {
    return "over-drive not ready";
  }
  power.cr = power.cr | kOverDriveSwitch;
  if (!Await(power.csr, kOverDriveSwitched, kOverDriveSwitched)) {
    return "over-drive not switched";
  }
  flash_acr = kWaitStates;  // the caches can be reset only while they are off
  flash_acr = kWaitStates | kResetInstructionCache | kResetDataCache;
  flash_acr = kWaitStates | kPrefetch | kInstructionCache | kDataCache;
  if (!Await(flash_acr, kLatency, kWaitStates)) {
    return "flash wait states not taken";
  }
  if (!Await(rcc.cr, kPllReady, kPllReady)) {
    return "PLL not ready";
  }
  constexpr uint32_t kDividers = kApb1Divide4 | kApb2Divide2;
  rcc.cfgr = kDividers;
  rcc.cfgr = kDividers | kSwitchPll;
  if (!Await(rcc.cfgr, kSwitchStatus, kSwitchedPll)) {
    rcc.cfgr = 0;
    return "PLL not switched to";
  }
  return nullptr;
}

}  // namespace hil::stm32f429
