/* The 16550: National Semiconductor PC16550D. Its registers are bytes. */
#include "uart.h"

#define BYTE(offset) (*(volatile uint8_t*)(UART_BASE + (offset)))
#define DATA BYTE(0)
#define INTERRUPTS BYTE(1)
#define FIFO BYTE(2)
#define STATE BYTE(5) /* bit 0: has received, bit 5: can send */

void uart_start(void) {
  FIFO = 1u;
  INTERRUPTS = 1u; /* of bytes that have come */
}

bool uart_has_byte(void) { return (STATE & 1u) != 0; }
uint8_t uart_byte(void) { return DATA; }
bool uart_takes_byte(void) { return (STATE & 1u << 5) != 0; }
void uart_send(uint8_t byte) { DATA = byte; }
