#include "decide.h"

void decide_start(decide_state* state) {
  state->active = NO_LABEL;
  state->candidate = NO_LABEL;
  state->run = 0;
}

decision decide(decide_state* state, const int8_t scores[LABELS]) {
  decision found = {0, scores[0], NO_LABEL, BELOW_THRESHOLD};
  for (int32_t i = 1; i < LABELS; ++i) {
    if (scores[i] > found.score) {
      found.winner = i;
      found.score = scores[i];
    }
  }
  const int32_t bar = found.winner == state->active ? score_release : score_threshold;
  if (found.score <= bar) {
    decide_start(state);
    return found;
  }
  if (found.winner != state->candidate) {
    state->candidate = found.winner;
    state->run = 0;
  }
  state->run += state->run < debounce ? 1u : 0u;
  if (found.winner != state->active && state->run < debounce) {
    found.reason = DEBOUNCE;
    return found;
  }
  state->active = found.winner;
  found.answer = found.winner;
  found.reason = ACCEPTED;
  return found;
}
