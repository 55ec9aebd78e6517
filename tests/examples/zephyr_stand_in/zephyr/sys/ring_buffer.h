#pragma once
#include <stdint.h>
struct ring_buf {
  uint8_t *data;
  uint32_t size;
};
#define RING_BUF_DECLARE(name, bytes)                                          \
  static uint8_t name##_data[bytes];                                           \
  static struct ring_buf name = {name##_data, bytes}
uint32_t ring_buf_put(struct ring_buf *ring, const uint8_t *data,
                      uint32_t size);
uint32_t ring_buf_get(struct ring_buf *ring, uint8_t *data, uint32_t size);
uint32_t ring_buf_get_claim(struct ring_buf *ring, uint8_t **data,
                            uint32_t size);
int ring_buf_get_finish(struct ring_buf *ring, uint32_t size);
