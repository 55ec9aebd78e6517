#include "link/rtt.h"

#include <algorithm>
#include <cstring>

#include "port/port.h"

namespace {

// The layout is SEGGER's; pointers are 32 bits on every target, also on a 64-bit host.
struct RttRing {
  uint32_t name;
  uint32_t buffer;
  uint32_t size;
  volatile uint32_t write;
  volatile uint32_t read;
  uint32_t flags;
};
struct RttBlock {
  volatile char id[16];
  int32_t up_count;
  int32_t down_count;
  RttRing up;
  RttRing down;
};
static_assert(sizeof(RttBlock) == 72, "as debug probes expect it");

constexpr char kId[16] = "SEGGER RTT";
constexpr uint32_t kBlockWhenFull = 2;

}  // namespace

extern "C" {
__attribute__((section(".hil_shared"), used, aligned(8))) RttBlock _SEGGER_RTT;
__attribute__((section(".hil_shared"), used, aligned(8))) char hil_rtt_name[8];
__attribute__((section(".hil_shared"), used, aligned(8))) uint8_t hil_rtt_up[hil::kRttUpBytes];
__attribute__((section(".hil_shared"), used, aligned(8))) uint8_t hil_rtt_down[hil::kRttDownBytes];
}

namespace hil {
namespace {

uint32_t Address32(const volatile void* pointer) { return static_cast<uint32_t>(reinterpret_cast<uintptr_t>(pointer)); }

// The host writes these words: never trust them as an index.
uint32_t Clamped(uint32_t index, uint32_t size) { return index < size ? index : 0; }

}  // namespace

void RttStart() {
  for (volatile char& character : _SEGGER_RTT.id) {
    character = 0;
  }
  port::MemoryBarrier();
  std::memcpy(hil_rtt_name, "hil", 4);
  _SEGGER_RTT.up_count = 1;
  _SEGGER_RTT.down_count = 1;
  _SEGGER_RTT.up = {Address32(hil_rtt_name), Address32(hil_rtt_up), kRttUpBytes, 0, 0, kBlockWhenFull};
  _SEGGER_RTT.down = {Address32(hil_rtt_name), Address32(hil_rtt_down), kRttDownBytes, 0, 0, kBlockWhenFull};
  port::MemoryBarrier();
  // Back to front: a host that scans RAM never sees a whole id before the block is valid.
  for (int i = static_cast<int>(sizeof(kId)) - 1; i >= 0; --i) {
    _SEGGER_RTT.id[i] = kId[i];
  }
  port::MemoryBarrier();
}

Bytes RttPeek() {
  const uint32_t write = Clamped(_SEGGER_RTT.down.write, kRttDownBytes);
  const uint32_t read = Clamped(_SEGGER_RTT.down.read, kRttDownBytes);
  if (write == read) {
    return {};
  }
  port::MemoryBarrier();
  const uint32_t end = write > read ? write : kRttDownBytes;
  return Bytes(hil_rtt_down + read, end - read);
}

void RttDrop(size_t count) {
  port::MemoryBarrier();
  const size_t next = Clamped(_SEGGER_RTT.down.read, kRttDownBytes) + count;
  _SEGGER_RTT.down.read = static_cast<uint32_t>(next >= kRttDownBytes ? next - kRttDownBytes : next);
}

size_t RttWrite(Bytes data) {
  size_t written = 0;
  uint32_t write = Clamped(_SEGGER_RTT.up.write, kRttUpBytes);
  while (written < data.size()) {
    const uint32_t read = Clamped(_SEGGER_RTT.up.read, kRttUpBytes);
    // One byte stays free, so that a full ring differs from an empty one.
    const uint32_t room = read > write ? read - write - 1 : kRttUpBytes - write - (read == 0 ? 1 : 0);
    const size_t count = std::min<size_t>(room, data.size() - written);
    if (count == 0) {
      break;
    }
    std::memcpy(hil_rtt_up + write, data.data() + written, count);
    write = static_cast<uint32_t>((write + count) % kRttUpBytes);
    written += count;
  }
  port::MemoryBarrier();
  _SEGGER_RTT.up.write = write;
  return written;
}

}  // namespace hil
