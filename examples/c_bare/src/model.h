/* What export.py writes: the layers of the model, the table of the front end, labels and thresholds. */
#ifndef MODEL_H
#define MODEL_H

#include <stdint.h>

#define SAMPLES 40
#define CHANNELS 6
#define STATISTICS 4 /* of a channel: mean, deviation, minimum, maximum */
#define INPUTS (CHANNELS * STATISTICS)
#define LABELS 4
#define LAYERS 3
#define WIDEST 24 /* elements between two layers, and of the input */

/* Dense: weights [outputs][inputs]; the result is factor * 2^(shift - 31) of a sum, and not below `low`. */
typedef struct {
  const int8_t* weights;
  const int32_t* bias;
  uint32_t inputs;
  uint32_t outputs;
  int32_t input_zero;
  int32_t output_zero;
  int32_t factor;
  int32_t shift;
  int32_t low;
} layer;

typedef struct {
  float scale;
  int32_t zero_point;
} quantisation;

extern const layer layers[LAYERS];
extern const quantisation model_input;
extern const quantisation model_output;
extern const uint8_t model_hash[32];
extern const int32_t statistic_offset[INPUTS];
extern const int32_t statistic_gain[INPUTS]; /* Q16 */
extern const char* const labels[LABELS];
extern const int32_t score_threshold; /* a score must be above it, */
extern const int32_t score_release;   /* or above this one while its label is the answer */
extern const uint32_t debounce;

#endif /* MODEL_H */
