/* The product: gate, front end, network, decision; and what the test agent is told of it. */
#ifndef PRODUCT_H
#define PRODUCT_H

#include "agent/hil_agent.h"

extern const hil_product product;

/* Shows the instruments what they must detect, on boards that have it; on the others the function is null. */
bool self_test(void* context, uint8_t test, uint32_t amount, uint32_t deadline, hil_record* record)
    __attribute__((weak));

#endif /* PRODUCT_H */
