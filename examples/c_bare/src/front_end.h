/* The front end: from a window of counts to the input of the model. case/front_end.py says the same in Python. */
#ifndef FRONT_END_H
#define FRONT_END_H

#include "model.h"

/* window: int16 [SAMPLES][CHANNELS], little-endian, at any address. */
void front_end(const uint8_t* window, int8_t input[INPUTS]);

/* One value of it. */
int32_t count_at(const uint8_t* window, uint32_t sample, uint32_t channel);

#endif /* FRONT_END_H */
