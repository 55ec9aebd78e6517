/* The product: gate, front end, network, decision; and what the test agent is told of it. */
#ifndef PRODUCT_H
#define PRODUCT_H

#include "agent/hil_agent.h"

extern const hil_product product;

#endif /* PRODUCT_H */
