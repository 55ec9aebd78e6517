/* Frames on a stream of bytes: 0x00 COBS( message | CRC-32 ) 0x00 (docs/link.md). */
#ifndef HIL_FRAMING_H
#define HIL_FRAMING_H

#include "link/cobs.h"
#include "link/hil_port.h"

#ifdef __cplusplus
extern "C" {
#endif

#define HIL_CRC_BYTES 4u

/* Memory for a message of `bytes` bytes on its way out: it is encoded where it lies, behind a zero and the overhead. */
#define HIL_FRAMING_OUT_BYTES(bytes) ((bytes) + HIL_CRC_BYTES + HIL_COBS_OVERHEAD((bytes) + HIL_CRC_BYTES) + 2u)

typedef struct {
  const hil_port* port;
  uint8_t* in; /* what came: a part that is done with, frames, and the beginning of one */
  size_t in_bytes;
  size_t have;    /* bytes in `in` */
  size_t begin;   /* where the first frame begins that is not done with */
  size_t scanned; /* from there to here no zero was found */
  bool overlong;
  uint8_t* out;
  size_t message_bytes; /* longest message sent */
  size_t encoded;       /* length of the last frame sent */
  uint32_t dropped;
} hil_framing;

typedef struct {
  const uint8_t* data; /* at the start of `in`, until the next call */
  size_t size;
  uint32_t crc;
} hil_message;

/* in_bytes: the longest frame taken, its final zero included. out: HIL_FRAMING_OUT_BYTES(message_bytes), for the
 * longest message sent.
 */
void hil_framing_start(hil_framing* framing, const hil_port* port, uint8_t* in, size_t in_bytes, uint8_t* out,
                       size_t message_bytes);

/* True when a whole, undamaged frame has arrived. Damaged and overlong ones are dropped and counted. */
bool hil_framing_receive(hil_framing* framing, hil_message* message);

/* Where the next message is to be written. */
uint8_t* hil_framing_message(const hil_framing* framing);

/* Makes a frame of the `size` bytes that were written there. */
void hil_framing_encode(hil_framing* framing, size_t size);

/* Sends the last frame, waiting while the way is full. `idle` is called meanwhile, when there is one, with the number
 * of calls since bytes went. False when the rest was given up.
 */
bool hil_framing_send(const hil_framing* framing, void (*idle)(void* context, uint32_t polls), void* context);

#ifdef __cplusplus
}
#endif

#endif /* HIL_FRAMING_H */
