#include "link/framing.h"

#include <cstring>

#include "link/crc32.h"
#include "port/port.h"

namespace hil {
namespace {

uint32_t LoadLittleEndian(const uint8_t* at) {
  return static_cast<uint32_t>(at[0]) | static_cast<uint32_t>(at[1]) << 8 | static_cast<uint32_t>(at[2]) << 16 |
         static_cast<uint32_t>(at[3]) << 24;
}

void StoreLittleEndian(uint32_t value, uint8_t* at) {
  for (int i = 0; i < 4; ++i) {
    at[i] = static_cast<uint8_t>(value >> (8 * i));
  }
}

}  // namespace

bool Framing::Receive(ReceivedMessage* received) {
  for (Bytes piece = RttPeek(); !piece.empty(); piece = RttPeek()) {
    const auto* const zero = static_cast<const uint8_t*>(std::memchr(piece.data(), 0, piece.size()));
    const size_t size = zero != nullptr ? static_cast<size_t>(zero - piece.data()) : piece.size();
    Collect(piece.first(size));
    RttDrop(zero != nullptr ? size + 1 : size);
    if (zero != nullptr && Finish(received)) {
      return true;
    }
  }
  return false;
}

void Framing::Collect(Bytes piece) {
  if (overlong_ || piece.size() > kFrameBytes - 1 - frame_size_) {
    overlong_ = true;
    return;
  }
  std::memcpy(frame_ + frame_size_, piece.data(), piece.size());
  frame_size_ += piece.size();
}

bool Framing::Finish(ReceivedMessage* received) {
  Span<uint8_t> frame(frame_, frame_size_);
  const bool overlong = overlong_;
  frame_size_ = 0;
  overlong_ = false;
  if (frame.empty() && !overlong) {
    return false;
  }
  if (overlong || !CobsDecode(&frame) || frame.size() <= kCrcBytes) {
    ++dropped_;
    return false;
  }
  received->message = frame.first(frame.size() - kCrcBytes);
  received->crc = LoadLittleEndian(received->message.end());
  if (Crc32(received->message) != received->crc) {
    ++dropped_;
    return false;
  }
  return true;
}

void Framing::Send(size_t size) {
  StoreLittleEndian(Crc32(Bytes(reply_, size)), reply_ + size);
  encoded_size_ = CobsEncode(Bytes(reply_, size + kCrcBytes), encoded_);
  encoded_[encoded_size_++] = 0;
  Repeat();
}

void Framing::Repeat() {
  Bytes rest(encoded_, encoded_size_);
  for (uint32_t polls = 0; !rest.empty(); ++polls) {
    const size_t written = RttWrite(rest);
    rest = rest.subspan(written, rest.size() - written);
    if (!rest.empty()) {
      port::Idle(polls);
    }
  }
}

}  // namespace hil
