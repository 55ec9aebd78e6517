/* UART of Arm's CMSDK: Arm DDI 0479, 4.3. */
#include "uart.h"

#define DATA REGISTER(0x00)
#define STATE REGISTER(0x04) /* bit 0: cannot send, bit 1: has received */
#define CONTROL REGISTER(0x08)
#define INTERRUPT REGISTER(0x0C)
#define BAUDDIV REGISTER(0x10)

void uart_start(void) {
  BAUDDIV = CLOCK_HZ / 921600u;
  CONTROL = 1u | 2u | 8u; /* send, receive, interrupt of a byte that has come */
}

bool uart_has_byte(void) { return (STATE & 2u) != 0; }

uint8_t uart_byte(void) {
  INTERRUPT = 2u;
  return (uint8_t)DATA;
}

bool uart_takes_byte(void) { return (STATE & 1u) == 0; }
void uart_send(uint8_t byte) { DATA = byte; }
