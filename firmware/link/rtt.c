#include "link/rtt.h"

#include <string.h>

/* What was written before is visible to the host before what is written after. */
#ifndef HIL_MEMORY_BARRIER
#define HIL_MEMORY_BARRIER() __sync_synchronize() /* of gcc, clang, armclang; others define their own */
#endif

#define BLOCK_WHEN_FULL 2u

/* A host writes the indices: never trust them. */
static uint32_t clamped(uint32_t index, uint32_t size) { return index < size ? index : 0u; }

static uint32_t address_32(const volatile void* pointer) { return (uint32_t)(uintptr_t)pointer; }

static void empty(hil_rtt_ring* ring, const char* name, const uint8_t* buffer, uint32_t bytes) {
  ring->name = address_32(name);
  ring->buffer = address_32(buffer);
  ring->size = bytes;
  ring->write = 0;
  ring->read = 0;
  ring->flags = BLOCK_WHEN_FULL;
}

void hil_rtt_start(const hil_rtt* rtt) {
  static const char id[16] = "SEGGER RTT";
  hil_rtt_block* const block = rtt->block;
  for (size_t i = 0; i < sizeof(id); ++i) {
    block->id[i] = 0;
  }
  HIL_MEMORY_BARRIER();
  memcpy(block->name, "hil", 4);
  block->up_count = 1;
  block->down_count = 1;
  empty(&block->up, block->name, rtt->up, rtt->up_bytes);
  empty(&block->down, block->name, rtt->down, rtt->down_bytes);
  HIL_MEMORY_BARRIER();
  /* Back to front: a host that scans RAM never sees a whole id before the block is valid. */
  for (size_t i = sizeof(id); i > 0u; --i) {
    block->id[i - 1u] = id[i - 1u];
  }
  HIL_MEMORY_BARRIER();
}

size_t hil_rtt_read(void* context, uint8_t* data, size_t size) {
  const hil_rtt* const rtt = context;
  hil_rtt_ring* const ring = &rtt->block->down;
  const uint32_t write = clamped(ring->write, rtt->down_bytes);
  const uint32_t read = clamped(ring->read, rtt->down_bytes);
  if (write == read) {
    return 0;
  }
  HIL_MEMORY_BARRIER();
  const uint32_t piece = (write > read ? write : rtt->down_bytes) - read;
  const uint32_t count = piece < size ? piece : (uint32_t)size;
  memcpy(data, rtt->down + read, count);
  HIL_MEMORY_BARRIER();
  const uint32_t next = read + count;
  ring->read = next == rtt->down_bytes ? 0u : next;
  return count;
}

size_t hil_rtt_write(void* context, const uint8_t* data, size_t size) {
  const hil_rtt* const rtt = context;
  hil_rtt_ring* const ring = &rtt->block->up;
  const uint32_t write = clamped(ring->write, rtt->up_bytes);
  const uint32_t read = clamped(ring->read, rtt->up_bytes);
  /* One byte stays free, so that a full ring differs from an empty one. */
  const uint32_t room = read > write ? read - write - 1u : rtt->up_bytes - write - (read == 0u ? 1u : 0u);
  const uint32_t count = room < size ? room : (uint32_t)size;
  memcpy(rtt->up + write, data, count);
  HIL_MEMORY_BARRIER();
  const uint32_t next = write + count;
  ring->write = next == rtt->up_bytes ? 0u : next;
  return count;
}
