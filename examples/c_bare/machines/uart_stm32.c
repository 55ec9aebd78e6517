/* USART of the STM32F4: ST RM0090, 30.6. */
#include "uart.h"

#define STATE REGISTER(0x00) /* bit 5: has received, bit 7: can send */
#define DATA REGISTER(0x04)
#define CONTROL REGISTER(0x0C)

void uart_start(void) { CONTROL = 1u << 13 | 1u << 5 | 1u << 3 | 1u << 2; /* on, interrupt of a byte, send, receive */ }

bool uart_has_byte(void) { return (STATE & 1u << 5) != 0; }
uint8_t uart_byte(void) { return (uint8_t)DATA; }
bool uart_takes_byte(void) { return (STATE & 1u << 7) != 0; }
void uart_send(uint8_t byte) { DATA = byte; }
