/* Arm's PL011: Arm DDI 0183, 3. */
#include "uart.h"

#define DATA REGISTER(0x00)
#define STATE REGISTER(0x18) /* bit 4: nothing received, bit 5: cannot send */
#define FORMAT REGISTER(0x2C)
#define CONTROL REGISTER(0x30)
#define INTERRUPTS REGISTER(0x38)

void uart_start(void) {
  FORMAT = 0x70u;                   /* 8 bits, FIFOs on */
  INTERRUPTS = 1u << 4 | 1u << 6;   /* of bytes that have come, many or few */
  CONTROL = 1u | 1u << 8 | 1u << 9; /* on, send, receive */
}

bool uart_has_byte(void) { return (STATE & 1u << 4) == 0; }
uint8_t uart_byte(void) { return (uint8_t)DATA; }
bool uart_takes_byte(void) { return (STATE & 1u << 5) == 0; }
void uart_send(uint8_t byte) { DATA = byte; }
