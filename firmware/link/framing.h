// Frames on the rings: COBS( message | CRC-32 ) 0x00 (docs/link.md).
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/span.h"
#include "link/cobs.h"
#include "link/rtt.h"

namespace hil {

constexpr size_t kCrcBytes = 4;
constexpr size_t kFrameBytes = HIL_FRAME_BYTES;  // longest frame taken, its final zero included
static_assert(kFrameBytes < kRttDownBytes, "the host may write a frame in one go");

// Longest message sent: its frame fits into the ring as a whole.
constexpr size_t kReplyBytes = HIL_REPLY_BYTES;
constexpr size_t kReplyFrameBytes = CobsMaxEncoded(kReplyBytes + kCrcBytes) + 1;
static_assert(kReplyFrameBytes < kRttUpBytes, "a reply must fit");

struct ReceivedMessage {
  Span<uint8_t> message;  // valid until the next call
  uint32_t crc;
};

class Framing {
 public:
  // True when a whole, undamaged frame has arrived. Damaged and overlong ones are dropped and counted.
  bool Receive(ReceivedMessage* received);

  // Where the next reply is to be written, then its length. Waits while the ring is full.
  Span<uint8_t> ReplyBuffer() { return Span<uint8_t>(reply_, kReplyBytes); }
  void Send(size_t size);

  // Sends the last reply again. There must have been one.
  void Repeat();

  uint32_t dropped() const { return dropped_; }

 private:
  void Collect(Bytes piece);
  bool Finish(ReceivedMessage* received);

  alignas(16) uint8_t frame_[kFrameBytes] = {};
  size_t frame_size_ = 0;
  bool overlong_ = false;
  uint32_t dropped_ = 0;
  uint8_t reply_[kReplyBytes + kCrcBytes] = {};
  uint8_t encoded_[kReplyFrameBytes] = {};
  size_t encoded_size_ = 0;
};

}  // namespace hil
