/* Consistent Overhead Byte Stuffing (Cheshire and Baker, 1999): bytes without zeros, so that a zero can end a frame. */
#ifndef HIL_COBS_H
#define HIL_COBS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* By how much the encoding of `size` bytes is longer at most, its final zero left out. */
#define HIL_COBS_OVERHEAD(size) ((size) / 254u + 1u)

/* Encodes `size` bytes into `encoded`, which holds size + HIL_COBS_OVERHEAD(size). `data` may lie at the end of that
 * same memory: nothing is overwritten before it was read. Returns the length used.
 */
size_t hil_cobs_encode(const uint8_t* data, size_t size, uint8_t* encoded);

/* Decodes `*size` bytes to `decoded`, which may be where they lie, or before. False when the frame is damaged;
 * otherwise `*size` shrinks to the decoded bytes.
 */
bool hil_cobs_decode(const uint8_t* frame, size_t* size, uint8_t* decoded);

#ifdef __cplusplus
}
#endif

#endif /* HIL_COBS_H */
