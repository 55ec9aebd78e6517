#include "gate.h"

#include "front_end.h"

#define LEAST (-32767) /* the sensor marks an invalid sample with -32768 */
#define LEAST_SPAN 64

static bool out_of_range(const uint8_t* window) {
  for (uint32_t i = 0; i < SAMPLES * CHANNELS; ++i) {
    if (count_at(window, i / CHANNELS, i % CHANNELS) < LEAST) {
      return true;
    }
  }
  return false;
}

static int32_t span_of(const uint8_t* window, uint32_t channel) {
  int32_t minimum = INT16_MAX;
  int32_t maximum = INT16_MIN;
  for (uint32_t sample = 0; sample < SAMPLES; ++sample) {
    const int32_t count = count_at(window, sample, channel);
    minimum = count < minimum ? count : minimum;
    maximum = count > maximum ? count : maximum;
  }
  return maximum - minimum;
}

uint8_t gate(gate_state* state, uint32_t capture, const uint8_t* window, size_t bytes) {
  if (bytes != 2u * SAMPLES * CHANNELS) {
    return WRONG_LENGTH;
  }
  if (state->seen && capture == state->capture) {
    return STALE;
  }
  state->seen = true;
  state->capture = capture;
  if (out_of_range(window)) {
    return OUT_OF_RANGE;
  }
  for (uint32_t channel = 0; channel < CHANNELS; ++channel) {
    if (span_of(window, channel) >= LEAST_SPAN) {
      return VALID;
    }
  }
  return FLAT;
}
