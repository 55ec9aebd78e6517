/* Clock and sleep of any Cortex-M, by its SysTick: Armv7-M Architecture Reference Manual, B3.3. It has 24 bits; its
 * interrupt, the only one that is taken, makes them 32.
 */
#include "board.h"
#include "uart.h"

#define SYSTEM(address) (*(volatile uint32_t*)(address))
#define SYSTICK_CONTROL SYSTEM(0xE000E010u)
#define SYSTICK_RELOAD SYSTEM(0xE000E014u)
#define SYSTICK_VALUE SYSTEM(0xE000E018u)
#define INTERRUPT_ON SYSTEM(0xE000E100u + UART_INTERRUPT / 32u * 4u)
#define INTERRUPT_OFF SYSTEM(0xE000E180u + UART_INTERRUPT / 32u * 4u)
#define INTERRUPT_PENDING_OFF SYSTEM(0xE000E280u + UART_INTERRUPT / 32u * 4u)
#define UART_BIT (1u << UART_INTERRUPT % 32u)
#define LONGEST (1u << 24)
#define MILLISECOND (CLOCK_HZ / 1000u)

const char* const board_clock = "systick";
const uint32_t board_clock_hz = CLOCK_HZ;

static volatile uint32_t wraps; /* of the counter since the clock began */
static uint32_t period;         /* of the counter, in ticks */
static uint32_t began;          /* what it showed when the clock was started */

void tick(void);
void tick(void) { wraps = wraps + 1u; }

/* It counts down, again and again, at the rate of the core. */
static void begin(uint32_t ticks) {
  SYSTICK_CONTROL = 0;
  SYSTICK_RELOAD = ticks - 1u;
  SYSTICK_VALUE = 0;
  wraps = 0;
  period = ticks;
  SYSTICK_CONTROL = 1u | 2u | 4u; /* on, with its interrupt, by the clock of the core */
}

void board_start(void) { uart_start(); }
void board_clock_stop(void) {}

/* Behind a barrier: Renode counts the instructions of a block when it begins, and a barrier begins one. */
static uint32_t counted(void) {
  __asm__ volatile("isb" ::: "memory");
  for (;;) {
    const uint32_t before = wraps;
    const uint32_t value = SYSTICK_VALUE;
    if (wraps == before) {
      return before * period + (period - 1u - value);
    }
  }
}

void board_clock_start(void) {
  begin(LONGEST);
  began = counted();
}

uint32_t board_ticks(void) { return counted() - began; }

void nap(void) {
  if (period != MILLISECOND) {
    begin(MILLISECOND);
    began = 0;
  }
  __asm__ volatile("wfi" ::: "memory");
}

/* With interrupts masked, one that is pending ends the WFI all the same. */
void board_sleep(void) {
  __asm__ volatile("cpsid i" ::: "memory");
  INTERRUPT_ON = UART_BIT;
  if (!uart_has_byte()) {
    nap();
  }
  INTERRUPT_OFF = UART_BIT;
  INTERRUPT_PENDING_OFF = UART_BIT;
  __asm__ volatile("cpsie i" ::: "memory");
}
