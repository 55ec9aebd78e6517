#include "memory/arena.h"

#include <algorithm>

#include "memory/pattern.h"

namespace hil {
namespace {

// Part of the protocol (docs/link.md, "What the harness reads itself"): the host looks for them in memory.
constexpr uint32_t kPattern = 0xA5C35A3Cu;
constexpr uint32_t kCanary = 0xD7B4E269u;
constexpr size_t kCanaryBytes = 1024;  // wide, so that a write some way off is still seen

}  // namespace
}  // namespace hil

extern "C" {
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
  }
  bytes_ = bytes;
  floor_ = 0;
  untouched_ = Words(kBase, bytes);
  Paint(untouched_, kPattern);
  Paint(Words(kBase - kCanaryBytes, kCanaryBytes), kCanary);
  Paint(Words(kBase + bytes, kCanaryBytes), kCanary);
  return Span<uint8_t>(kBase, bytes);
}

void Arena::Watch(Span<uint8_t> unused, uint32_t floor) {
  // Whole words only.
  const size_t lost =
      (sizeof(uint32_t) - reinterpret_cast<uintptr_t>(unused.data()) % sizeof(uint32_t)) % sizeof(uint32_t);
  untouched_ = unused.size() < lost ? Span<uint32_t>() : Words(unused.data() + lost, unused.size() - lost);
  Paint(untouched_, kPattern);
  floor_ = floor;
}

uint32_t Arena::HighWater() {
  Span<uint32_t> longest;
  for (Span<uint32_t> rest = untouched_; !rest.empty();) {
    const size_t painted = CountPainted(rest, kPattern);
    if (painted > longest.size()) {
      longest = rest.first(painted);
    }
    const uint32_t* const next = std::find(rest.begin() + painted, rest.end(), kPattern);
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
