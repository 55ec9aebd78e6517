// Reset: memory, MPU and stacks, then the application on the process stack.
#include <cstring>

#include "memory/stack.h"
#include "port/cortex-m4/core.h"
#include "port/cortex-m4/cortex_m4.h"
#include "port/port.h"

extern "C" {
// Linker script.
extern uint32_t __hil_vectors[], __hil_stack_guard[], __hil_stack_low[], __hil_stack_top[], __hil_handler_stack_top[];
extern uint8_t __hil_data_load[], __hil_data_start[], __hil_data_end[], __hil_bss_start[], __hil_bss_end[];
extern const uint8_t __hil_bundle_start[], __hil_bundle_bytes[];

void SysTickHandler() {}  // its only use is to end a WFI
[[noreturn]] void ResetHandler();
}

namespace hil::cortex_m4 {
namespace {

constexpr uint32_t kNormalMemory = (1u << 19) | (1u << 17) | (1u << 16);

// Switches thread mode to the process stack and goes on there.
[[noreturn, gnu::naked, gnu::noinline]] void RunOnProcessStack(uint32_t* /*top*/, void (* /*entry*/)()) {
  asm volatile(
      "msr psp, r0\n"
      "movs r2, #2\n"
      "msr control, r2\n"
      "isb\n"
      "bx r1\n");
}

}  // namespace

void SetRegion(uint32_t number, uint32_t base, uint32_t log2_bytes, uint32_t attributes, uint32_t skipped) {
  mpu.number = number;
  mpu.base = base;
  mpu.attributes = attributes | kNormalMemory | (skipped << 8) | ((log2_bytes - 1) << 1) | 1;
}

// 1 KB, the size of QEMU's pages: smaller ones would send every access nearby through its slow path.
void SetStackGuard(uint32_t number) {
  SetRegion(number, reinterpret_cast<uint32_t>(__hil_stack_guard), 10, kNone | kExecuteNever);
}

void SleepForATick() {
  systick.value = 0;
  systick.control = kSysTickRun;
  asm volatile("wfi" ::: "memory");
  systick.control = 0;
}

}  // namespace hil::cortex_m4

void ResetHandler() {
  using namespace hil::cortex_m4;
  // A reset of silicon clears it. Renode 1.16.1 keeps it, after a fault or a reset inside a stage for instance, and
  // then no SysTick would ever end a WFI.
  asm volatile("msr basepri, %0" ::"r"(0) : "memory");
  cpacr = cpacr | kFpuAccess;
  asm volatile("dsb\n isb" ::: "memory");
  fpccr = fpccr & ~kStackFpuState;  // handlers use no floating point: exception frames stay at eight words
  scb.vtor = reinterpret_cast<uint32_t>(__hil_vectors);
  std::memcpy(__hil_data_start, __hil_data_load, static_cast<size_t>(__hil_data_end - __hil_data_start));
  std::memset(__hil_bss_start, 0, static_cast<size_t>(__hil_bss_end - __hil_bss_start));
  scb.shcsr = scb.shcsr | kMemBusUsageFaults;
  scb.ccr = scb.ccr | kTrapDivideByZero;
  ProtectMemory();
  mpu.control = kMpuEnableWithDefaultMap;
  asm volatile("dsb\n isb" ::: "memory");
  StartPeripherals();
  hil::PaintStack(hil::port::Stack());
  RunOnProcessStack(__hil_stack_top, hil::AppMain);
}

// The core's exceptions; the linker script puts those of a device behind them.
using Handler = void (*)();
__attribute__((section(".vectors.core"), used)) const Handler kVectors[16] = {
    reinterpret_cast<Handler>(__hil_handler_stack_top),
    ResetHandler,
    FaultHandler,  // NMI
    FaultHandler,  // HardFault
    FaultHandler,  // MemManage
    FaultHandler,  // BusFault
    FaultHandler,  // UsageFault
    nullptr,
    nullptr,
    nullptr,
    nullptr,
    FaultHandler,  // SVCall
    FaultHandler,  // DebugMonitor
    nullptr,
    FaultHandler,  // PendSV
    SysTickHandler,
};

namespace hil::port {

bool ReadCoreState(CoreState* state) {
  asm volatile("mrs %0, primask" : "=r"(state->primask));
  asm volatile("mrs %0, basepri" : "=r"(state->basepri));
  asm volatile("mrs %0, faultmask" : "=r"(state->faultmask));
  state->fault_status = cortex_m4::scb.cfsr;
  return true;
}

void Spin(uint32_t rounds, volatile uint32_t* left) {
  if (rounds == 0) {
    return;
  }
  asm volatile(
      "1:\n"
      "str %0, [%1]\n"
      "subs %0, #1\n"
      "bne 1b\n"
      : "+l"(rounds)
      : "l"(left)
      : "cc", "memory");
}

const hil_port* Stream() { return nullptr; }

void MemoryBarrier() { asm volatile("dmb" ::: "memory"); }

Span<uint32_t> Stack() {
  return Span<uint32_t>(__hil_stack_low, static_cast<size_t>(__hil_stack_top - __hil_stack_low));
}

Bytes BundleRegion() { return Bytes(__hil_bundle_start, reinterpret_cast<size_t>(__hil_bundle_bytes)); }

}  // namespace hil::port
