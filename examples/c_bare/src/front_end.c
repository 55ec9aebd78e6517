#include "front_end.h"

/* Rounds down, as Python does; division in C cuts off towards zero. */
static int32_t floor_divide(int32_t value, int32_t by) {
  const int32_t quotient = value / by;
  return value % by < 0 ? quotient - 1 : quotient;
}

/* The largest whole number whose square is not above `value`. */
static uint32_t square_root(uint64_t value) {
  uint64_t root = 0;
  for (uint64_t bit = (uint64_t)1 << 31; bit != 0; bit >>= 1) {
    if ((root | bit) * (root | bit) <= value) {
      root |= bit;
    }
  }
  return (uint32_t)root;
}

int32_t count_at(const uint8_t* window, uint32_t sample, uint32_t channel) {
  const uint8_t* const bytes = &window[2u * (sample * CHANNELS + channel)];
  return (int16_t)(uint16_t)(bytes[0] | (bytes[1] << 8));
}

static void statistics_of(const uint8_t* window, uint32_t channel, int32_t statistics[STATISTICS]) {
  int32_t sum = 0;
  int64_t squares = 0;
  int32_t minimum = INT16_MAX;
  int32_t maximum = INT16_MIN;
  for (uint32_t sample = 0; sample < SAMPLES; ++sample) {
    const int32_t count = count_at(window, sample, channel);
    sum += count;
    squares += (int64_t)count * count;
    minimum = count < minimum ? count : minimum;
    maximum = count > maximum ? count : maximum;
  }
  statistics[0] = floor_divide(2 * sum + SAMPLES, 2 * SAMPLES);
  statistics[1] = (int32_t)(square_root((uint64_t)(SAMPLES * squares - (int64_t)sum * sum)) / SAMPLES);
  statistics[2] = minimum;
  statistics[3] = maximum;
}

static int8_t quantised(int32_t statistic, uint32_t place) {
  const int64_t scaled = ((int64_t)statistic - statistic_offset[place]) * statistic_gain[place];
  const int64_t value = ((scaled + (1 << 15)) >> 16) + model_input.zero_point;
  return (int8_t)(value > INT8_MAX ? INT8_MAX : value < INT8_MIN ? INT8_MIN : value);
}

void front_end(const uint8_t* window, int8_t input[INPUTS]) {
  for (uint32_t channel = 0; channel < CHANNELS; ++channel) {
    int32_t statistics[STATISTICS];
    statistics_of(window, channel, statistics);
    for (uint32_t i = 0; i < STATISTICS; ++i) {
      const uint32_t place = channel * STATISTICS + i;
      input[place] = quantised(statistics[i], place);
    }
  }
}
