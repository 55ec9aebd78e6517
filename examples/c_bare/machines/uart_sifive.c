/* UART of SiFive's FE310: FE310-G002 Manual, 18. Reading a byte takes it, so one is kept here until it is wanted. */
#include "uart.h"

#define SEND REGISTER(0x00)    /* bit 31: full */
#define RECEIVE REGISTER(0x04) /* bit 31: empty */
#define SENDER REGISTER(0x08)
#define RECEIVER REGISTER(0x0C)
#define INTERRUPTS REGISTER(0x10)

static bool kept;
static uint8_t byte_kept;

void uart_start(void) {
  SENDER = 1u;
  RECEIVER = 1u;
  INTERRUPTS = 2u; /* of a byte that has come */
}

bool uart_has_byte(void) {
  if (!kept) {
    const uint32_t found = RECEIVE;
    kept = found >> 31 == 0;
    byte_kept = (uint8_t)found;
  }
  return kept;
}

uint8_t uart_byte(void) {
  kept = false;
  return byte_kept;
}

bool uart_takes_byte(void) { return SEND >> 31 == 0; }
void uart_send(uint8_t byte) { SEND = byte; }
