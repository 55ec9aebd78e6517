// Consistent Overhead Byte Stuffing (Cheshire and Baker, 1999): bytes without zeros, so that a zero can end a frame.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/span.h"

namespace hil {

// Longest encoding of `size` bytes, without the final zero.
constexpr size_t CobsMaxEncoded(size_t size) { return size + size / 254 + 1; }

// Encodes into `encoded`, which holds CobsMaxEncoded(data.size()) bytes. Returns the length used.
size_t CobsEncode(Bytes data, uint8_t* encoded);

// Decodes in place. False when the frame is damaged; otherwise `frame` shrinks to the decoded bytes.
bool CobsDecode(Span<uint8_t>* frame);

}  // namespace hil
