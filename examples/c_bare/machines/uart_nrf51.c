/* UART of the nRF51: Nordic, nRF51 Series Reference Manual 3.0, 29. */
#include "uart.h"

#define START_RECEIVER REGISTER(0x000)
#define START_SENDER REGISTER(0x008)
#define RECEIVED REGISTER(0x108)
#define SENT REGISTER(0x11C)
#define INTERRUPTS REGISTER(0x304)
#define ENABLE REGISTER(0x500)
#define RECEIVE REGISTER(0x518)
#define SEND REGISTER(0x51C)

static bool sending;

void uart_start(void) {
  INTERRUPTS = 4u; /* of a byte that has come */
  ENABLE = 4u;
  START_RECEIVER = 1u;
  START_SENDER = 1u;
}

bool uart_has_byte(void) { return RECEIVED != 0; }

uint8_t uart_byte(void) {
  RECEIVED = 0;
  return (uint8_t)RECEIVE;
}

bool uart_takes_byte(void) { return !sending || SENT != 0; }

void uart_send(uint8_t byte) {
  SENT = 0;
  sending = true;
  SEND = byte;
}
