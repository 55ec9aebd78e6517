// The smallest arena in which a model can be set up, found by trying: planners need room of their own while they plan.
#pragma once

#include <algorithm>
#include <cstdint>

namespace hil {

constexpr uint32_t kArenaStep = 16;

// The smallest number of bytes, a multiple of kArenaStep, for which `works(bytes)` is true; `most` when nothing less
// does. `used` bytes are taken in the end, so nothing smaller can work. Searches upwards from there, because only small
// models need more: first in doubling steps, then by halving.
template <typename Works>
uint32_t SmallestArena(uint32_t used, uint32_t most, const Works& works) {
  uint32_t enough = (used + kArenaStep - 1) / kArenaStep * kArenaStep;
  uint32_t fails = enough - kArenaStep;
  for (uint32_t step = kArenaStep; enough < most && !works(enough); step *= 2) {
    fails = enough;
    enough = std::min<uint32_t>(enough + step, most);
  }
  while (enough - fails > kArenaStep) {
    const uint32_t middle = fails + (enough - fails) / 2 / kArenaStep * kArenaStep;
    (works(middle) ? enough : fails) = middle;
  }
  return enough;
}

}  // namespace hil
