// How deep the stack has been: it is painted once, from its end to where it is in use.
#pragma once

#include <cstdint>

extern "C" uint32_t stack_top[];  // of the linker script

namespace stack {

constexpr uint32_t kBytes = 4096, kPaint = 0x5AC3B19D;  // as sections.ld of c_bare has it

inline uint32_t* Low() { return stack_top - kBytes / 4; }

inline void Paint() {
  const uint32_t* const used = static_cast<const uint32_t*>(__builtin_frame_address(0)) - 32;
  for (volatile uint32_t* word = Low(); word < used; ++word) {
    *word = kPaint;
  }
}

inline uint32_t HighWater() {
  const volatile uint32_t* word = Low();
  while (word < stack_top && *word == kPaint) {
    ++word;
  }
  return 4 * static_cast<uint32_t>(stack_top - word);
}

}  // namespace stack
