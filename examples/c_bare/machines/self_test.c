/* Shows the harness's instruments what they must detect: a loop of known length, and naps (docs/link.md). */
#include "agent/hil_agent.h"
#include "board.h"
#include "uart.h"

#define SHORT 8u /* this part of the loop in invoke goes to each other stage */

/* Three instructions a round. */
static void spin(uint32_t rounds) {
  if (rounds != 0) {
#ifdef __riscv
    __asm__ volatile("1: addi %0, %0, -1\n  nop\n  bnez %0, 1b" : "+r"(rounds));
#else
    __asm__ volatile(".syntax unified\n1: nop\n  subs %0, #1\n  bne 1b" : "+l"(rounds)::"cc");
#endif
  }
}

bool self_test(void* context, uint8_t which, uint32_t amount, uint32_t deadline, hil_record* record) {
  (void)context;
  (void)deadline; /* there is none: whatever runs too long is found by the harness's own patience */
  if (which == HIL_TEST_SPIN) {
    const uint32_t rounds[3] = {amount / SHORT, amount, amount / SHORT};
    record->tells |= HIL_TELLS_GATE;
    board_clock_start();
    spin(amount / SHORT);
    record->gate_ticks = board_ticks();
    for (uint32_t i = 0; i < 3u; ++i) {
      spin(rounds[i]);
      record->ticks[i] = board_ticks();
    }
    board_clock_stop();
    return true;
  }
  if (which == HIL_TEST_SLEEP) {
    board_clock_start();
    for (uint32_t i = 0; i < amount; ++i) {
      nap();
    }
    record->ticks[2] = board_ticks();
    board_clock_stop();
    return true;
  }
  return false;
}
