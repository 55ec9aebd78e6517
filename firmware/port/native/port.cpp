// The native port: the firmware as a Linux process. The file given by --ram is the RAM that it shares with the host;
// with
// --stream the link is a stream of bytes instead of the rings there.
#include "port/port.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "memory/stack.h"
#include "port/native/native.h"
#include "port/native/stream.h"

extern "C" {
// Linker script.
extern uint8_t __hil_shared_start[], __hil_shared_end[];
extern const uint8_t __hil_bundle_start[], __hil_bundle_bytes[];

// Static, so that its addresses fit 32 bits like the board's.
alignas(4096) uint8_t hil_native_stack[hil::native::kStackGuardBytes + hil::native::kStackBytes];
}

// The names that a Cortex-M4's linker script gives to its stack.
asm(".globl __hil_stack_low, __hil_stack_top\n"
    ".set __hil_stack_low, hil_native_stack + " HIL_TEXT(HIL_NATIVE_GUARD_BYTES) "\n"
    ".set __hil_stack_top, __hil_stack_low + " HIL_TEXT(HIL_STACK_BYTES) "\n");

namespace hil::native {
namespace {

constexpr int kWatchdogSignal = SIGALRM;
constexpr uint32_t kNanosecondsPerSecond = 1000000000;
constexpr uint32_t kLongestDeadlineSeconds = 10;

uint8_t* stack_top = hil_native_stack + kStackGuardBytes + kStackBytes;

timer_t watchdog;
timespec clock_start;

timespec Now() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now;
}

[[noreturn]] void Die(const char* what, const char* file) {
  std::fprintf(stderr, "hil_firmware: %s %s: %s\n", what, file, std::strerror(errno));
  std::_Exit(2);
}

void MapSharedRam(const char* file) {
  const auto size = static_cast<size_t>(__hil_shared_end - __hil_shared_start);
  const int descriptor = open(file, O_RDWR | O_CLOEXEC);
  struct stat status;
  if (descriptor < 0 || fstat(descriptor, &status) != 0) {
    Die("cannot open", file);
  }
  if (static_cast<size_t>(status.st_size) < size) {
    std::fprintf(stderr, "hil_firmware: %s has %lld bytes, wanted are %zu\n", file,
                 static_cast<long long>(status.st_size), size);
    std::_Exit(2);
  }
  if (mmap(__hil_shared_start, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, descriptor, 0) == MAP_FAILED) {
    Die("cannot map", file);
  }
  close(descriptor);
  // Like flash on a board: the firmware cannot change its bundle.
  if (mprotect(const_cast<uint8_t*>(__hil_bundle_start), reinterpret_cast<size_t>(__hil_bundle_bytes), PROT_READ) !=
      0) {
    Die("cannot protect the bundle in", file);
  }
}

void CreateWatchdog() {
  sigevent event{};
  event.sigev_notify = SIGEV_THREAD_ID;
  event.sigev_signo = kWatchdogSignal;
  event._sigev_un._tid = static_cast<pid_t>(syscall(SYS_gettid));
  if (timer_create(CLOCK_MONOTONIC, &event, &watchdog) != 0) {
    Die("cannot create", "the watchdog timer");
  }
}

void* FirmwareThread(void*) {
  stack_top = static_cast<uint8_t*>(__builtin_frame_address(0));
  InstallFaultHandlers(kWatchdogSignal);
  CreateWatchdog();
  prctl(PR_SET_TIMERSLACK, 1000);  // of this thread: short naps stay short
  AppMain();
}

constexpr char kUsage[] =
    "usage: %s --ram FILE [--stream WHERE [--log-on-stream]]\n"
    "  --ram FILE       16 MB, shared with the host: the rings of the link, and the bundle\n"
    "  --stream WHERE   the link is a terminal, a Unix socket (their paths), or an open descriptor (its number);\n"
    "                   --ram may be left out then: there is no bundle\n"
    "  --log-on-stream  the log goes there too, among the frames\n";

struct Options {
  const char* ram = nullptr;
  const char* stream = nullptr;
  bool log_on_stream = false;
};

// False when they make no sense.
bool Parse(int argc, char** argv, Options* options) {
  for (int i = 1; i < argc; ++i) {
    const bool valued = i + 1 < argc;
    if (std::strcmp(argv[i], "--ram") == 0 && valued) {
      options->ram = argv[++i];
    } else if (std::strcmp(argv[i], "--stream") == 0 && valued) {
      options->stream = argv[++i];
    } else if (std::strcmp(argv[i], "--log-on-stream") == 0) {
      options->log_on_stream = true;
    } else {
      return false;
    }
  }
  return options->stream != nullptr || (options->ram != nullptr && !options->log_on_stream);
}

// The harness owns this process: without it, it ends.
void DieWithParent(pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) {
    std::_Exit(0);
  }
}

}  // namespace

Span<uint8_t> StackMemory() { return hil_native_stack; }

}  // namespace hil::native

int main(int argc, char** argv) {
  using namespace hil::native;
  Options options;
  if (!Parse(argc, argv, &options)) {
    std::fprintf(stderr, kUsage, argv[0]);
    return 2;
  }
  DieWithParent(getppid());
  if (options.ram != nullptr) {
    MapSharedRam(options.ram);
  }
  if (options.stream != nullptr && !OpenStream(options.stream)) {
    Die("cannot open", options.stream);
  }
  if (options.log_on_stream) {
    LogOnStream();
  }
  mprotect(hil_native_stack, kStackGuardBytes, PROT_NONE);
  uint8_t* const stack = hil_native_stack + kStackGuardBytes;
  hil::PaintStack(hil::Span<uint32_t>(reinterpret_cast<uint32_t*>(stack), kStackBytes / sizeof(uint32_t)));
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstack(&attributes, stack, kStackBytes);
  pthread_t thread;
  if (pthread_create(&thread, &attributes, FirmwareThread, nullptr) != 0) {
    Die("cannot start", "the firmware's thread");
  }
  // Signals sent to the process reach the firmware's thread: the harness asks with one where the firmware is.
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
  pthread_join(thread, nullptr);
  return 1;
}

namespace hil::port {

using namespace hil::native;

const char* const kClockName = "host-monotonic";
const uint32_t kClockHz = kNanosecondsPerSecond;

void LogWrite(const char* text, size_t size) {
  if (LogsOnStream()) {
    StreamLog(text, size);
    return;
  }
  while (size > 0) {
    const ssize_t written = write(STDERR_FILENO, text, size);
    if (written <= 0) {
      return;
    }
    text += written;
    size -= static_cast<size_t>(written);
  }
}

void ClockStart() { clock_start = Now(); }

// Truncated to 32 bits: 4.29 s.
uint32_t ClockNow() {
  const timespec now = Now();
  const int64_t nanoseconds = static_cast<int64_t>(now.tv_sec - clock_start.tv_sec) * kNanosecondsPerSecond +
                              (now.tv_nsec - clock_start.tv_nsec);
  return static_cast<uint32_t>(nanoseconds);
}

// The host's scheduler cannot be masked: this clock is not deterministic, and says so by its name.
void MaskInterrupts() {}
void UnmaskInterrupts() {}

void WatchdogArm(uint32_t ticks) {
  itimerspec when{};
  when.it_value.tv_sec = ticks != 0 ? ticks / kNanosecondsPerSecond : kLongestDeadlineSeconds;
  when.it_value.tv_nsec = ticks % kNanosecondsPerSecond;
  timer_settime(watchdog, 0, &when, nullptr);
}

void WatchdogDisarm() {
  const itimerspec never{};
  timer_settime(watchdog, 0, &never, nullptr);
}

bool ReadCoreState(CoreState*) { return false; }

void Spin(uint32_t rounds, volatile uint32_t* left) {
  for (; rounds > 0; --rounds) {
    *left = rounds;
  }
}

void Idle(uint32_t polls) {
  constexpr uint32_t kSpins = 20000;
  constexpr uint32_t kLongestNap = 200000;
  if (polls < kSpins) {
    return;
  }
  const timespec nap = {0, static_cast<long>(std::min<uint64_t>(uint64_t{polls - kSpins} * 1000, kLongestNap))};
  nanosleep(&nap, nullptr);
}

const hil_port* Stream() { return TheStream(); }

void MemoryBarrier() { __sync_synchronize(); }

Span<uint32_t> Stack() {
  uint8_t* const low = hil_native_stack + kStackGuardBytes;
  return Span<uint32_t>(reinterpret_cast<uint32_t*>(low), static_cast<size_t>(stack_top - low) / sizeof(uint32_t));
}

Bytes BundleRegion() { return Bytes(__hil_bundle_start, reinterpret_cast<size_t>(__hil_bundle_bytes)); }

}  // namespace hil::port
