#include "link/cobs.h"

#include <string.h>

#define LONGEST_GROUP 0xFFu /* the code of 254 bytes with no zero behind them */

/* As memmove, for `to` at or before `from`. A word at a time whatever the alignment, which the C library does not dare;
 * what is stored lies before what is loaded next.
 */
static void move_down(uint8_t* to, const uint8_t* from, size_t size) {
  size_t done = 0;
  for (; size - done >= sizeof(uint32_t); done += sizeof(uint32_t)) {
    uint32_t word;
    memcpy(&word, from + done, sizeof(word));
    memcpy(to + done, &word, sizeof(word));
  }
  for (; done < size; ++done) {
    to[done] = from[done];
  }
}

size_t hil_cobs_encode(const uint8_t* data, size_t size, uint8_t* encoded) {
  size_t code_at = 0;
  size_t out = 1;
  uint8_t code = 1;
  for (size_t i = 0; i < size; ++i) {
    const uint8_t byte = data[i];
    if (byte != 0u) {
      encoded[out++] = byte;
      ++code;
    }
    if (byte == 0u || (code == LONGEST_GROUP && i + 1u < size)) {
      encoded[code_at] = code;
      code_at = out++;
      code = 1;
    }
  }
  encoded[code_at] = code;
  return out;
}

bool hil_cobs_decode(const uint8_t* frame, size_t* size, uint8_t* decoded) {
  const size_t end = *size;
  size_t in = 0;
  size_t out = 0;
  while (in < end) {
    const uint8_t code = frame[in++];
    const size_t run = (size_t)code - 1u;
    if (code == 0u || run > end - in || memchr(frame + in, 0, run) != NULL) {
      return false;
    }
    move_down(decoded + out, frame + in, run);
    in += run;
    out += run;
    if (code != LONGEST_GROUP && in < end) {
      decoded[out++] = 0;
    }
  }
  *size = out;
  return end > 0u;
}
