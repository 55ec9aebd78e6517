// Reset: memory, MPU and stacks, then the application on the process stack.
#include <cstring>

#include "memory/stack.h"
#include "port/mps2-an386/registers.h"
#include "port/port.h"

extern "C" {
// Linker script.
extern uint32_t __hil_stack_guard[], __hil_stack_low[], __hil_stack_top[], __hil_handler_stack_top[];
extern uint8_t __hil_data_load[], __hil_data_start[], __hil_data_end[], __hil_bss_start[], __hil_bss_end[];

// faults.cpp and port.cpp
void FaultHandler();
void SysTickHandler();

[[noreturn]] void ResetHandler();
}

namespace hil::mps2 {
namespace {

enum Access : uint32_t { kNone = 0u << 24, kReadWrite = 3u << 24, kReadOnly = 6u << 24 };
constexpr uint32_t kExecuteNever = 1u << 28;
constexpr uint32_t kNormalMemory = (1u << 19) | (1u << 17) | (1u << 16);

// `log2_bytes`: size; `skipped`: bit mask of the eighths that the region leaves out.
void SetRegion(uint32_t number, uint32_t base, uint32_t log2_bytes, uint32_t attributes, uint32_t skipped = 0) {
  mpu.number = number;
  mpu.base = base;
  mpu.attributes = attributes | kNormalMemory | (skipped << 8) | ((log2_bytes - 1) << 1) | 1;
}

// Where two regions overlap, the higher number counts. Guards are 1 KB, the size of QEMU's pages: smaller ones would
// send every access nearby through its slow path.
void StartMpu() {
  SetRegion(0, 0x00000000, 22, kReadOnly);                              // code and constants
  SetRegion(1, 0x20000000, 22, kReadWrite | kExecuteNever);             // RAM
  SetRegion(2, 0x21000000, 24, kReadWrite | kExecuteNever);             // shared with the host
  SetRegion(3, 0x21000000, 23, kReadOnly | kExecuteNever, 0b11100001);  // of that, the bundle: like flash
  SetRegion(4, 0x00000000, 10, kNone | kExecuteNever);                  // null pointers
  SetRegion(5, reinterpret_cast<uint32_t>(__hil_stack_guard), 10, kNone | kExecuteNever);
  constexpr uint32_t kEnableWithDefaultMap = 0b101;
  mpu.control = kEnableWithDefaultMap;
  asm volatile("dsb\n isb" ::: "memory");
}

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

void StartPeripherals();  // port.cpp

}  // namespace hil::mps2

void ResetHandler() {
  using namespace hil::mps2;
  cpacr = cpacr | (0xFu << 20);  // FPU on
  asm volatile("dsb\n isb" ::: "memory");
  fpccr = fpccr & ~(3u << 30);  // handlers use no floating point: exception frames stay at eight words
  std::memcpy(__hil_data_start, __hil_data_load, static_cast<size_t>(__hil_data_end - __hil_data_start));
  std::memset(__hil_bss_start, 0, static_cast<size_t>(__hil_bss_end - __hil_bss_start));
  constexpr uint32_t kMemBusUsageFaults = 7u << 16;
  scb.shcsr = scb.shcsr | kMemBusUsageFaults;
  constexpr uint32_t kTrapDivideByZero = 1u << 4;
  scb.ccr = scb.ccr | kTrapDivideByZero;
  StartMpu();
  StartPeripherals();
  hil::PaintStack(hil::port::Stack());
  RunOnProcessStack(__hil_stack_top, hil::AppMain);
}

// Only SysTick interrupts; the watchdog comes as NMI.
using Handler = void (*)();
__attribute__((section(".vectors"), used)) const Handler kVectors[16] = {
    reinterpret_cast<Handler>(__hil_handler_stack_top),
    ResetHandler,
    FaultHandler,  // NMI: the watchdog
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
