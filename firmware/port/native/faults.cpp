// Faults of the native port: signals and sanitizer reports leave the same record as a core's faults.
#include <execinfo.h>
#include <signal.h>
#include <ucontext.h>
#include <unistd.h>

#include <cstdint>
#include <iterator>

#include "base/log.h"
#include "fault/fault_record.h"
#include "port/native/native.h"

extern "C" {
extern const char __executable_start[], etext[];  // linker
}

namespace hil::native {
namespace {

int the_watchdog_signal = 0;
bool sanitizer_reported = false;
alignas(16) uint8_t signal_stack[256 * 1024];

bool InFirmware(uintptr_t pc) {
  return pc >= reinterpret_cast<uintptr_t>(__executable_start) && pc < reinterpret_cast<uintptr_t>(etext);
}

bool InGuard(uintptr_t address) {
  const auto guard = reinterpret_cast<uintptr_t>(StackMemory().data());
  return address >= guard && address < guard + kStackGuardBytes;
}

// The program counter, or where the firmware left for what it lies in: a library, or nowhere at all.
uintptr_t FirmwarePc(uintptr_t pc, uintptr_t stack_pointer) {
  if (InFirmware(pc)) {
    return pc;
  }
  void* frames[64];
  const int count = backtrace(frames, static_cast<int>(std::size(frames)));
  bool interrupted = false;  // the first frames are the handler's own, up to `pc`
  for (int i = 0; i < count; ++i) {
    const auto frame = reinterpret_cast<uintptr_t>(frames[i]);
    interrupted = interrupted || frame == pc;
    if (interrupted && InFirmware(frame)) {
      return frame - 1;  // inside the call
    }
  }
  // A call through a bad pointer: nothing to unwind, but the return address is on top of the stack.
  const Span<uint8_t> stack = StackMemory();
  const auto low = reinterpret_cast<uintptr_t>(stack.data()) + kStackGuardBytes;
  if (stack_pointer >= low && stack_pointer < low + kStackBytes) {
    const uintptr_t top = *reinterpret_cast<const uintptr_t*>(stack_pointer);
    return InFirmware(top) ? top - 1 : pc;
  }
  return pc;
}

FaultKind KindOf(int number, uintptr_t address) {
  if (number == the_watchdog_signal) {
    return FaultKind::kDeadline;
  }
  switch (number) {
    case SIGSEGV:
      return InGuard(address) ? FaultKind::kStackOverflow : FaultKind::kMemoryManagement;
    case SIGBUS:
      return FaultKind::kBus;
    case SIGABRT:
      return sanitizer_reported ? FaultKind::kSanitizer : FaultKind::kAbort;
    default:
      return FaultKind::kUsage;  // SIGFPE, SIGILL, SIGTRAP
  }
}

void OnSignal(int number, siginfo_t* info, void* context) {
  const auto& registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  const bool has_address = number == SIGSEGV || number == SIGBUS;
  const auto address = has_address ? reinterpret_cast<uintptr_t>(info->si_addr) : 0;
  FaultRecord record{};
  const auto stack_pointer = static_cast<uintptr_t>(registers[REG_RSP]);
  record.pc = static_cast<uint32_t>(FirmwarePc(static_cast<uintptr_t>(registers[REG_RIP]), stack_pointer));
  record.bfar = static_cast<uint32_t>(address);
  record.stack_pointer = static_cast<uint32_t>(stack_pointer);
  const FaultKind kind = KindOf(number, address);
  PublishFault(kind, record);
  Log("fault: kind ");
  LogDecimal(static_cast<uint32_t>(kind));
  Log(", pc ");
  LogHex(record.pc);
  LogLine(", stage", static_cast<uint32_t>(progress.activity));
  for (;;) {
    pause();
  }
}

}  // namespace

void InstallFaultHandlers(int watchdog_signal) {
  the_watchdog_signal = watchdog_signal;
  void* frame;
  backtrace(&frame, 1);  // loads the unwinder now: a handler must not
  const stack_t alternate = {signal_stack, 0, sizeof(signal_stack)};
  sigaltstack(&alternate, nullptr);
  struct sigaction action {};
  action.sa_sigaction = OnSignal;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigfillset(&action.sa_mask);
  for (const int number : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, watchdog_signal}) {
    sigaction(number, &action, nullptr);
  }
}

}  // namespace hil::native

// Hooks that the sanitizers' runtime looks for. A report ends in abort(), and that in OnSignal().
extern "C" {
const char* __asan_default_options() {
  return "abort_on_error=1:detect_leaks=0:handle_segv=0:handle_sigbus=0:handle_sigfpe=0:handle_sigill=0:handle_abort=0:"
         "use_sigaltstack=0:detect_stack_use_after_return=0";
}
const char* __ubsan_default_options() { return "abort_on_error=1:print_stacktrace=1:handle_abort=0"; }
void __asan_on_error() { hil::native::sanitizer_reported = true; }
void __ubsan_on_report() { hil::native::sanitizer_reported = true; }
}
