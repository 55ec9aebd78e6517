/* The decision: the best score, held to a threshold, with hysteresis and debounce (docs/pipeline.md, argmax/1). */
#ifndef DECIDE_H
#define DECIDE_H

#include "model.h"

#define NO_LABEL (-1)

enum { ACCEPTED = 0, BELOW_THRESHOLD = 1, DEBOUNCE = 2 };

typedef struct {
  int32_t active;
  int32_t candidate;
  uint32_t run; /* windows in a row that the candidate has won */
} decide_state;

typedef struct {
  int32_t winner;
  int32_t score;
  int32_t answer; /* NO_LABEL: unknown */
  uint8_t reason;
} decision;

void decide_start(decide_state* state);
decision decide(decide_state* state, const int8_t scores[LABELS]);

#endif /* DECIDE_H */
