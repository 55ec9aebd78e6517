#include "board.h"
#include "product.h"

/* What a reset leaves alone: the linker script puts it where nobody clears it. */
static volatile uint32_t starts __attribute__((section(".noinit")));

static hil_agent agent;

int main(void) {
  static const hil_agent_hooks hooks = {.boot = &starts};
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
