#include <zephyr/kernel.h>

#include "board.h"
#include "product.h"

/* What a reset leaves alone. */
static volatile uint32_t starts __noinit;

static hil_agent agent;

static void yield(void* context, uint32_t polls) {
  ARG_UNUSED(context);
  ARG_UNUSED(polls);
  k_yield();
}

/* The main thread is the agent's own. Nothing else may call the product while a run is on. */
int main(void) {
  static const hil_agent_hooks hooks = {.boot = &starts, .idle = yield};

  starts = starts + 1u;
  board_start();
  if (!hil_agent_start(&agent, &product, &board_line, &hooks)) {
    return 1; /* the library was compiled with other sizes */
  }
  for (;;) {
    if (!hil_agent_poll(&agent)) {
      board_sleep();
    }
  }
}
