#include "network.h"

#include <string.h>

/* value * factor * 2^(shift - 31), rounded twice as gemmlowp does: half away from zero, then half away from zero. */
static int32_t scaled(int32_t value, int32_t factor, int32_t shift) {
  const int32_t left = shift > 0 ? shift : 0;
  const int32_t right = shift > 0 ? 0 : -shift;
  const int64_t product = (int64_t)value * ((int64_t)1 << left) * factor;
  const int64_t nudge = product >= 0 ? (1 << 30) : 1 - (1 << 30);
  const int32_t high = (int32_t)((product + nudge) / ((int64_t)1 << 31));
  if (right == 0) {
    return high;
  }
  const int32_t mask = (int32_t)(((int64_t)1 << right) - 1);
  const int32_t rest = high & mask;
  const int32_t half = (mask >> 1) + (high < 0 ? 1 : 0);
  return (high >> right) + (rest > half ? 1 : 0);
}

static void run_layer(const layer* self, const int8_t* input, int8_t* output) {
  for (uint32_t row = 0; row < self->outputs; ++row) {
    int32_t sum = self->bias[row];
    for (uint32_t i = 0; i < self->inputs; ++i) {
      sum += (input[i] - self->input_zero) * self->weights[row * self->inputs + i];
    }
    int32_t value = scaled(sum, self->factor, self->shift) + self->output_zero;
    value = value < self->low ? self->low : value;
    value = value > INT8_MAX ? INT8_MAX : value;
    output[row] = (int8_t)value;
  }
}

void network(const int8_t input[INPUTS], int8_t output[LABELS]) {
  int8_t values[2][WIDEST];
  (void)memcpy(values[0], input, INPUTS);
  for (uint32_t i = 0; i < LAYERS; ++i) {
    run_layer(&layers[i], values[i % 2u], values[(i + 1u) % 2u]);
  }
  (void)memcpy(output, values[LAYERS % 2], LABELS);
}
