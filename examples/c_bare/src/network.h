/* The model: dense layers of int8, by hand, bit for bit as TensorFlow Lite Micro computes them. */
#ifndef NETWORK_H
#define NETWORK_H

#include "model.h"

void network(const int8_t input[INPUTS], int8_t output[LABELS]);

#endif /* NETWORK_H */
