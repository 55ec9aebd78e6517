/* Which windows are taken at all (docs/pipeline.md, "Validity gate"). */
#ifndef GATE_H
#define GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { VALID = 0, WRONG_LENGTH = 1, STALE = 2, OUT_OF_RANGE = 4, FLAT = 5 };

typedef struct {
  bool seen;
  uint32_t capture; /* of the last window of the right length */
} gate_state;

uint8_t gate(gate_state* state, uint32_t capture, const uint8_t* window, size_t bytes);

#endif /* GATE_H */
