#include "testmode/self_test.h"

#include <algorithm>

#include "port/port.h"

extern "C" {
// Rounds of a loop that are still to go: tells the host how far one came before it was stopped.
__attribute__((section(".hil_shared"), used, aligned(8))) volatile uint32_t hil_spin_left;
}

// Accesses that are wrong on purpose, which a sanitizer must leave to the memory protection.
#define HIL_WRONG_ON_PURPOSE __attribute__((noinline, no_sanitize("address", "undefined")))

namespace hil {
namespace {

// The compiler must not know where this points.
volatile uintptr_t null_address = 0;

void SpinInStage(Stage stage, uint32_t rounds, StageObserver* observer) {
  observer->Begin(stage);
  port::Spin(rounds, &hil_spin_left);
  observer->End(stage);
}

}  // namespace

void SpinInStages(uint32_t rounds, StageObserver* observer) {
  constexpr uint32_t kShort = 8;
  SpinInStage(Stage::kGate, rounds / kShort, observer);
  SpinInStage(Stage::kPrepare, rounds / kShort, observer);
  SpinInStage(Stage::kInvoke, rounds, observer);
  SpinInStage(Stage::kDecide, rounds / kShort, observer);
}

uint32_t SleepOnTheClock(uint32_t naps) {
  port::ClockStart();
  for (uint32_t nap = 0; nap < naps; ++nap) {
    port::Idle(UINT32_MAX);
  }
  return port::ClockNow();
}

void ReadBackCore(hil_record* record) {
  port::CoreState state;
  if (port::ReadCoreState(&state)) {
    const uint32_t words[] = {state.primask, state.basepri, state.faultmask, state.fault_status};
    std::copy_n(words, 4, record->core);
    record->tells |= HIL_TELLS_CORE;
  }
}

void ReadBackWhileMasked(hil_record* record) {
  port::MaskInterrupts();
  ReadBackCore(record);
  port::UnmaskInterrupts();
}

HIL_WRONG_ON_PURPOSE void TouchBelowStack() {
  const auto low = reinterpret_cast<uintptr_t>(port::Stack().data());
  *reinterpret_cast<volatile uint32_t*>(low - sizeof(uint32_t)) = 0;
}

HIL_WRONG_ON_PURPOSE void ReadNull() { static_cast<void>(*reinterpret_cast<volatile uint32_t*>(null_address)); }

HIL_WRONG_ON_PURPOSE void WriteNull() { *reinterpret_cast<volatile uint32_t*>(null_address) = 0; }

HIL_WRONG_ON_PURPOSE void ExecuteNull() {
  // The lowest bit of a function's address is the instruction set, where a core has two.
  const uintptr_t instruction_set = reinterpret_cast<uintptr_t>(&ExecuteNull) & 1;
  reinterpret_cast<void (*)()>(null_address | instruction_set)();
}

}  // namespace hil
