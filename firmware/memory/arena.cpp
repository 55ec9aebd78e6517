#include "memory/arena.h"

#include <algorithm>

#include "memory/pattern.h"

namespace hil {
namespace {

// Part of the protocol (docs/link.md, "What the harness reads itself"): the host looks for them in memory.
constexpr uint32_t kPatterns[] = {0xA5C35A3Cu, 0x5A3CA5C3u};
constexpr uint32_t kCanary = 0xD7B4E269u;
constexpr size_t kCanaryBytes = 1024;  // wide, so that a write some way off is still seen

}  // namespace
}  // namespace hil

extern "C" {
// The pattern of this start. A reset leaves it alone, and the next start takes the other one, so that what depends on
// memory that nobody wrote does not always find the same there.
__attribute__((section(".hil_shared"), used, aligned(8))) volatile uint32_t hil_arena_paint;

alignas(hil::kArenaAlignment) uint8_t hil_arena[hil::kCanaryBytes + hil::kArenaBytes + hil::kCanaryBytes];
}

namespace hil {
namespace {

uint8_t* const kBase = hil_arena + kCanaryBytes;

Span<uint32_t> Words(uint8_t* at, size_t bytes) {
  return Span<uint32_t>(reinterpret_cast<uint32_t*>(at), bytes / sizeof(uint32_t));
}

// True when it was whole. Leaves it whole.
bool CheckCanary(uint8_t* at) {
  const Span<uint32_t> words = Words(at, kCanaryBytes);
  if (CountPainted(words, kCanary) == words.size()) {
    return true;
  }
  Paint(words, kCanary);
  return false;
}

}  // namespace

Span<uint8_t> Arena::Prepare(uint32_t bytes) {
  if (bytes_ != 0) {
    damage_ |= LookAtCanaries();  // what the model's set-up did to the former layout must not be painted over
  } else {
    pattern_ = kPatterns[hil_arena_paint == kPatterns[0] ? 1 : 0];
    hil_arena_paint = pattern_;
  }
  bytes_ = bytes;
  floor_ = 0;
  untouched_ = Words(kBase, bytes);
  Paint(untouched_, pattern_);
  Paint(Words(kBase - kCanaryBytes, kCanaryBytes), kCanary);
  Paint(Words(kBase + bytes, kCanaryBytes), kCanary);
  return Span<uint8_t>(kBase, bytes);
}

void Arena::Watch(Span<uint8_t> unused, uint32_t floor) {
  // Whole words only.
  const size_t lost =
      (sizeof(uint32_t) - reinterpret_cast<uintptr_t>(unused.data()) % sizeof(uint32_t)) % sizeof(uint32_t);
  untouched_ = unused.size() < lost ? Span<uint32_t>() : Words(unused.data() + lost, unused.size() - lost);
  Paint(untouched_, pattern_);
  floor_ = floor;
}

uint32_t Arena::HighWater() {
  Span<uint32_t> longest;
  for (Span<uint32_t> rest = untouched_; !rest.empty();) {
    const size_t painted = CountPainted(rest, pattern_);
    if (painted > longest.size()) {
      longest = rest.first(painted);
    }
    const uint32_t* const next = std::find(rest.begin() + painted, rest.end(), pattern_);
    const auto skipped = static_cast<size_t>(next - rest.begin());
    rest = rest.subspan(skipped, rest.size() - skipped);
  }
  untouched_ = longest;
  return std::max(bytes_ - static_cast<uint32_t>(longest.size() * sizeof(uint32_t)), floor_);
}

uint8_t Arena::CheckCanaries() {
  const uint8_t found = damage_ | LookAtCanaries();
  damage_ = kCanariesWhole;
  return found;
}

uint8_t Arena::LookAtCanaries() {
  const bool below = CheckCanary(kBase - kCanaryBytes);
  const bool above = CheckCanary(kBase + bytes_);
  return (below ? 0 : kCanaryBelow) | (above ? 0 : kCanaryAbove);
}

}  // namespace hil
