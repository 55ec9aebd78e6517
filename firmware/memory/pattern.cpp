#include "memory/pattern.h"

// Both run over stack words outside every live frame, which AddressSanitizer would take for an overflow.
#define HIL_OVER_ANY_MEMORY __attribute__((no_sanitize("address", "undefined"), optimize("O2")))

namespace hil {

HIL_OVER_ANY_MEMORY void Paint(Span<uint32_t> words, uint32_t pattern) {
  uint32_t* const data = words.data();
  for (size_t i = 0; i < words.size(); ++i) {
    const_cast<volatile uint32_t*>(data)[i] = pattern;
  }
}

// This is the test mode's most frequent loop: eight words a round, one branch.
HIL_OVER_ANY_MEMORY size_t CountPainted(Span<const uint32_t> words, uint32_t pattern) {
  const uint32_t* const data = words.data();
  const size_t size = words.size();
  size_t count = 0;
  while (size - count >= 8) {
    const uint32_t* const w = data + count;
    const uint32_t difference = (w[0] ^ pattern) | (w[1] ^ pattern) | (w[2] ^ pattern) | (w[3] ^ pattern) |
                                (w[4] ^ pattern) | (w[5] ^ pattern) | (w[6] ^ pattern) | (w[7] ^ pattern);
    if (difference != 0) {
      break;
    }
    count += 8;
  }
  while (count < size && data[count] == pattern) {
    ++count;
  }
  return count;
}

}  // namespace hil
