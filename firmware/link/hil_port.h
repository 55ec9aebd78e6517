/* How the agent reaches the host: any stream of bytes, as four functions. Rings in RAM are one of them (link/rtt.h).
 *
 * None of them may wait. What is lost, repeated or damaged on the way is found by the frames and mended by the host.
 */
#ifndef HIL_PORT_H
#define HIL_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
  void* context; /* each function gets it */

  /* Up to `size` of the bytes that have come; returns how many, 0 when there are none. */
  size_t (*read)(void* context, uint8_t* data, size_t size);

  /* As many of `size` bytes as can be taken now; returns how many, 0 when the way is full. */
  size_t (*write)(void* context, const uint8_t* data, size_t size);

  /* False while nobody can listen: a USB port that is not configured, a closed socket. A reply is then given up, and
   * the host asks again. Null: always true.
   */
  bool (*ready)(void* context);

  /* Milliseconds, from any start; may wrap. A reply of which nothing was taken for HIL_LINK_STALL_MS is given up. Null:
   * the agent waits for as long as it takes.
   */
  uint32_t (*time)(void* context);
} hil_port;

#ifndef HIL_LINK_STALL_MS
#define HIL_LINK_STALL_MS 1000u
#endif

#endif /* HIL_PORT_H */
