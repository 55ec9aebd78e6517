// Faults: everything that must not happen ends here, leaves a record and parks.
#include "base/log.h"
#include "fault/fault_record.h"
#include "port/cortex-m4/core.h"
#include "port/cortex-m4/cortex_m4.h"

extern "C" {
// Linker script.
extern uint32_t __hil_stack_low[], __hil_stack_top[];
extern const uint8_t __hil_text_start[], __hil_text_end[];
}

namespace hil::cortex_m4 {
namespace {

// What the core pushes on entry to a handler.
struct ExceptionFrame {
  uint32_t r0, r1, r2, r3, r12, lr, pc, xpsr;
};

constexpr uint32_t kMemFaultBits = 0x000000FF;
constexpr uint32_t kBusFaultBits = 0x0000FF00;
constexpr uint32_t kUsageFaultBits = 0xFFFF0000;
constexpr uint32_t kMemStackingError = 1u << 4;
constexpr uint32_t kMemAddressValid = 1u << 7;
constexpr uint32_t kBusStackingError = 1u << 12;
constexpr uint32_t kBusAddressValid = 1u << 15;
constexpr uint32_t kFrameWasAligned = 1u << 9;

bool BelowStack(uint32_t address) {
  constexpr uint32_t kReach = 64 * 1024;  // how far a large stack frame may step over the guard
  const auto low = reinterpret_cast<uint32_t>(__hil_stack_low);
  return address < low && address >= low - kReach;
}

FaultKind KindOf(uint32_t exception, uint32_t cfsr) {
  if (exception == kWatchdogException) {
    return FaultKind::kDeadline;
  }
  const bool stacking_failed = (cfsr & (kMemStackingError | kBusStackingError)) != 0;
  const bool address_below = ((cfsr & kMemAddressValid) != 0 && BelowStack(scb.mmfar)) ||
                             ((cfsr & kBusAddressValid) != 0 && BelowStack(scb.bfar));
  if (stacking_failed || address_below) {
    return FaultKind::kStackOverflow;
  }
  // With interrupts masked every fault arrives as HardFault; the status register still says what it was.
  if ((cfsr & kMemFaultBits) != 0) {
    return FaultKind::kMemoryManagement;
  }
  if ((cfsr & kBusFaultBits) != 0) {
    return FaultKind::kBus;
  }
  return (cfsr & kUsageFaultBits) != 0 ? FaultKind::kUsage : FaultKind::kHardFault;
}

// After an overflow the core could not push its registers. The lowest return address on the stack is the best there is.
uint32_t NearestReturnAddress() {
  for (const uint32_t* word = __hil_stack_low; word < __hil_stack_top; ++word) {
    const bool thumb = (*word & 1) != 0;
    if (thumb && *word > reinterpret_cast<uint32_t>(__hil_text_start) &&
        *word < reinterpret_cast<uint32_t>(__hil_text_end)) {
      return *word;
    }
  }
  return 0;
}

[[noreturn]] void Park() {
  asm volatile("cpsid i" ::: "memory");
  systick.control = 0;
  for (;;) {
    asm volatile("wfi" ::: "memory");
  }
}

// `exception`: its number, 0 for an abort. That of an unexpected interrupt stands nowhere but in the log.
[[noreturn]] void Report(FaultKind kind, uint32_t exception, const FaultRecord& record) {
  StopPeripherals();  // no deadline may pass over the record
  PublishFault(kind, record);
  Log("fault: kind ");
  LogDecimal(static_cast<uint32_t>(kind));
  Log(", pc ");
  LogHex(record.pc);
  Log(", stage ");
  LogDecimal(static_cast<uint32_t>(progress.activity));
  LogLine(", exception", exception);
  Park();
}

}  // namespace

extern "C" [[noreturn, gnu::used]] void RecordFault(const ExceptionFrame* frame, uint32_t exc_return,
                                                    uint32_t exception) {
  FaultRecord record{};
  record.cfsr = scb.cfsr;
  record.hfsr = scb.hfsr;
  record.mmfar = scb.mmfar;
  record.bfar = scb.bfar;
  record.exc_return = exc_return;
  const FaultKind kind = KindOf(exception, record.cfsr);
  const bool stacked = (record.cfsr & (kMemStackingError | kBusStackingError)) == 0 || exception == kWatchdogException;
  if (stacked) {
    record.r0 = frame->r0;
    record.r1 = frame->r1;
    record.r2 = frame->r2;
    record.r3 = frame->r3;
    record.r12 = frame->r12;
    record.lr = frame->lr;
    record.pc = frame->pc;
    record.xpsr = frame->xpsr;
    const uint32_t padding = (frame->xpsr & kFrameWasAligned) != 0 ? 4 : 0;
    record.stack_pointer = reinterpret_cast<uint32_t>(frame + 1) + padding;
  } else {
    record.lr = NearestReturnAddress();
    record.pc = record.lr & ~1u;
    record.stack_pointer = reinterpret_cast<uint32_t>(frame + 1);
  }
  Report(kind, exception, record);
}

[[noreturn]] void Abort(const void* caller) {
  FaultRecord record{};
  record.pc = reinterpret_cast<uint32_t>(caller) & ~1u;
  record.lr = reinterpret_cast<uint32_t>(caller);
  record.stack_pointer = reinterpret_cast<uint32_t>(__builtin_frame_address(0));
  asm volatile("cpsid i" ::: "memory");
  Report(FaultKind::kAbort, 0, record);
}

}  // namespace hil::cortex_m4

// Which stack was in use stands in bit 2 of EXC_RETURN.
extern "C" [[gnu::naked]] void FaultHandler() {
  asm volatile(
      "tst lr, #4\n"
      "ite eq\n"
      "mrseq r0, msp\n"
      "mrsne r0, psp\n"
      "mov r1, lr\n"
      "mrs r2, ipsr\n"
      "b RecordFault\n");
}

// What the C and C++ libraries call when something is beyond repair. There is no heap: `delete` is only referenced,
// from virtual destructors that never run.
extern "C" {
[[noreturn]] void abort() { hil::cortex_m4::Abort(__builtin_return_address(0)); }
[[noreturn]] void __assert_func(const char*, int, const char*, const char*) {
  hil::cortex_m4::Abort(__builtin_return_address(0));
}
[[noreturn]] void __cxa_pure_virtual() { hil::cortex_m4::Abort(__builtin_return_address(0)); }
}
void operator delete(void*) noexcept { hil::cortex_m4::Abort(__builtin_return_address(0)); }
void operator delete(void*, size_t) noexcept { hil::cortex_m4::Abort(__builtin_return_address(0)); }
