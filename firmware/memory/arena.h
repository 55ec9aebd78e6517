// The static tensor arena: pattern, canaries, and how much of it was ever written.
#pragma once

#include <cstdint>

#include "base/span.h"

namespace hil {

constexpr uint32_t kArenaBytes = HIL_ARENA_BYTES;
constexpr uint32_t kArenaAlignment = 16;

enum CanaryDamage : uint8_t { kCanariesWhole = 0, kCanaryBelow = 1, kCanaryAbove = 2 };

class Arena {
 public:
  // Hands out the lowest `bytes` (a multiple of kArenaAlignment, at most kArenaBytes), filled with the pattern and with
  // a canary directly on either side. Canaries of a former call are looked at first: their damage is kept for the next
  // CheckCanaries().
  Span<uint8_t> Prepare(uint32_t bytes);

  // From here on `unused` is watched: it lies in the prepared part, nothing should ever write to it. It is filled with
  // the pattern again, because the interpreter's planner leaves traces there. `floor` is what HighWater() reports at
  // least.
  void Watch(Span<uint8_t> unused, uint32_t floor);

  // The largest part of the arena that was in use: its size less the longest stretch that nothing ever wrote.
  uint32_t HighWater();

  // Which canaries were damaged since the last call, or since the first Prepare(). Restores them, so that the next
  // answer is about the next window.
  uint8_t CheckCanaries();

 private:
  uint8_t LookAtCanaries();

  uint32_t pattern_ = 0;  // of this start
  uint32_t bytes_ = 0;
  uint32_t floor_ = 0;
  uint8_t damage_ = kCanariesWhole;
  // The stretch that was still untouched at the last look. Only this is scanned again: it can only shrink.
  Span<uint32_t> untouched_;
};

}  // namespace hil
