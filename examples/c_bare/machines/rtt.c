/* In place of a UART and its line: two rings in RAM that QEMU shares with the host. */
#include "link/rtt.h"

#include "board.h"
#include "uart.h"

const char* const board_target = TARGET;

/* By this name the harness finds the rings. */
hil_rtt_block _SEGGER_RTT;

static uint8_t up[1024], down[1536];
static hil_rtt rings = {&_SEGGER_RTT, up, sizeof up, down, sizeof down};

void uart_start(void) { hil_rtt_start(&rings); }

/* Whether one has come is seen by who reads; a nap takes a millisecond at most. */
bool uart_has_byte(void) { return false; }

const hil_port board_line = {.context = &rings, .read = hil_rtt_read, .write = hil_rtt_write};
