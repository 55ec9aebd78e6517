// The clock tree: 8 MHz from the ST-LINK's oscillator output, 180 MHz for the core.
#pragma once

#include <cstdint>

namespace hil::stm32f429 {

constexpr uint32_t kResetHz = 16000000;  // the internal oscillator, which runs the core and all buses after a reset
constexpr uint32_t kCoreHz = 180000000;
constexpr uint32_t kApb1Hz = kCoreHz / 4;
constexpr uint32_t kApb1TimerHz = 2 * kApb1Hz;  // RM0090, "Clocks": twice the bus where that one is divided

// From the state after a reset to kCoreHz. Null when that worked, otherwise what never became ready; the core then
// still runs at kResetHz.
const char* StartClock();

}  // namespace hil::stm32f429
