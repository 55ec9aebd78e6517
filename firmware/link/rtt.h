/* SEGGER RTT: a control block with two rings in RAM that the host reads and writes while the core runs. */
#ifndef HIL_RTT_H
#define HIL_RTT_H

#include "link/hil_port.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The layout is SEGGER's; pointers are 32 bits on every target, also on a 64-bit host. */
typedef struct {
  uint32_t name;
  uint32_t buffer;
  uint32_t size;
  volatile uint32_t write;
  volatile uint32_t read;
  uint32_t flags;
} hil_rtt_ring;

/* Debug probes look for `id`; by its name, the harness looks for a block called _SEGGER_RTT. */
typedef struct {
  volatile char id[16];
  int32_t up_count;
  int32_t down_count;
  hil_rtt_ring up;   /* device to host */
  hil_rtt_ring down; /* host to device */
  char name[8];      /* of both rings */
} hil_rtt_block;

/* Where block and rings lie: RAM that the host can read. The ring down holds a whole frame. */
typedef struct {
  hil_rtt_block* block;
  uint8_t* up;
  uint32_t up_bytes;
  uint8_t* down;
  uint32_t down_bytes;
} hil_rtt;

/* Empties both rings and makes the block visible. A block that a former run left in RAM is made invalid first. */
void hil_rtt_start(const hil_rtt* rtt);

/* The functions of a hil_port whose context is a hil_rtt. */
size_t hil_rtt_read(void* rtt, uint8_t* data, size_t size);
size_t hil_rtt_write(void* rtt, const uint8_t* data, size_t size);

#ifdef __cplusplus
}
#endif

#endif /* HIL_RTT_H */
