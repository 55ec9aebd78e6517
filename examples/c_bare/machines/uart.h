/* What the machines of this folder have in common: a UART that is asked, never waited for, and a nap. */
#ifndef UART_H
#define UART_H

#include <stdbool.h>
#include <stdint.h>

#define REGISTER(offset) (*(volatile uint32_t*)(UART_BASE + (offset)))

/* Its interrupt is on, which ends a sleep; nobody takes it. */
void uart_start(void);
bool uart_has_byte(void);
uint8_t uart_byte(void);
bool uart_takes_byte(void);
void uart_send(uint8_t byte);

/* Sleeps for a millisecond, or up to a byte that comes. The clock of `board_ticks` goes on. */
void nap(void);

#endif /* UART_H */
