#include "link/cobs.h"

#include <cstring>

namespace hil {
namespace {

// As memmove, for `to` before `from`. A word at a time whatever the alignment, which the C library does not dare; what
// is stored lies before what is loaded next.
void MoveDown(uint8_t* to, const uint8_t* from, size_t size) {
  size_t done = 0;
  for (; size - done >= sizeof(uint32_t); done += sizeof(uint32_t)) {
    uint32_t word;
    std::memcpy(&word, from + done, sizeof(word));
    std::memcpy(to + done, &word, sizeof(word));
  }
  for (; done < size; ++done) {
    to[done] = from[done];
  }
}

}  // namespace

size_t CobsEncode(Bytes data, uint8_t* encoded) {
  size_t code_at = 0;
  size_t out = 1;
  uint8_t code = 1;
  for (size_t i = 0; i < data.size(); ++i) {
    if (data[i] != 0) {
      encoded[out++] = data[i];
      ++code;
    }
    const bool group_full = code == 0xFF;
    if (data[i] == 0 || (group_full && i + 1 < data.size())) {
      encoded[code_at] = code;
      code_at = out++;
      code = 1;
    }
  }
  encoded[code_at] = code;
  return out;
}

bool CobsDecode(Span<uint8_t>* frame) {
  uint8_t* const data = frame->data();
  const size_t size = frame->size();
  size_t in = 0;
  size_t out = 0;
  while (in < size) {
    const uint8_t code = data[in++];
    const size_t run = code - 1u;
    if (code == 0 || run > size - in || std::memchr(data + in, 0, run) != nullptr) {
      return false;
    }
    MoveDown(data + out, data + in, run);
    in += run;
    out += run;
    if (code != 0xFF && in < size) {
      data[out++] = 0;
    }
  }
  *frame = frame->first(out);
  return size > 0;
}

}  // namespace hil
