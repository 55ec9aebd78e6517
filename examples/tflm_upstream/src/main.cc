#include <cstdlib>

#include "board.h"
#include "engine.h"
#include "product.h"
#include "stack.h"

namespace {

volatile uint32_t starts __attribute__((section(".noinit")));  // what a reset leaves alone
hil_agent agent;

[[noreturn]] void Stop() {
  for (;;) {
  }
}

}  // namespace

// The image has no heap: whoever asks for one does not link. These are named by code that never runs.
void operator delete(void*) noexcept { Stop(); }
void operator delete(void*, size_t) noexcept { Stop(); }
extern "C" void abort() { Stop(); }

int main() {
  stack::Paint();
  *reinterpret_cast<volatile uint32_t*>(0xE000ED88) |= 0xFu << 20;  // CPACR: the floating-point unit
  __asm__ volatile("dsb\n isb" ::: "memory");
  starts = starts + 1;
  board_start();
  static const hil_agent_hooks hooks = {nullptr, &starts, nullptr, nullptr, nullptr};
  if (!engine::Start() || !hil_agent_start(&agent, &product, &board_line, &hooks)) {
    return 1;
  }
  for (;;) {
    if (!hil_agent_poll(&agent)) {
      board_sleep();
    }
  }
}
