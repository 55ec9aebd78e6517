/* STM32F429 as it comes out of reset: 16 MHz from HSI. The line is a pair of rings in RAM, which a debug probe reads
 * and writes; the clock is the cycle counter. Registers: ARMv7-M Architecture Reference Manual, B3.2 and C1.8.
 */
#include "board.h"
#include "link/rtt.h"

#define HZ 16000000u
#define REGISTER(address) (*(volatile uint32_t*)(address))
#define DEMCR REGISTER(0xE000EDFCu)
#define DWT_CONTROL REGISTER(0xE0001000u)
#define DWT_CYCLES REGISTER(0xE0001004u)
#define SYSTICK_CONTROL REGISTER(0xE000E010u)
#define SYSTICK_RELOAD REGISTER(0xE000E014u)

const char* const board_target = "stm32f429";
const char* const board_clock = "dwt-cyccnt";
const uint32_t board_clock_hz = HZ;

/* By this name the harness finds the rings. */
hil_rtt_block _SEGGER_RTT;

static uint8_t up[1024], down[1536];
static hil_rtt rings = {&_SEGGER_RTT, up, sizeof up, down, sizeof down};
static volatile uint32_t milliseconds;
static uint32_t started;

void tick(void);

void tick(void) { milliseconds = milliseconds + 1u; }

static uint32_t line_time(void* context) {
  (void)context;
  return milliseconds;
}

const hil_port board_line = {.context = &rings, .read = hil_rtt_read, .write = hil_rtt_write, .time = line_time};

void board_start(void) {
  DEMCR = DEMCR | (1u << 24); /* TRCENA */
  DWT_CYCLES = 0;
  DWT_CONTROL = DWT_CONTROL | 1u;
  SYSTICK_RELOAD = HZ / 1000u - 1u;
  SYSTICK_CONTROL = 7u;
  hil_rtt_start(&rings);
}

void board_clock_start(void) {
  __asm__ volatile("cpsid i" ::: "memory");
  started = DWT_CYCLES;
}

void board_clock_stop(void) { __asm__ volatile("cpsie i" ::: "memory"); }

uint32_t board_ticks(void) { return DWT_CYCLES - started; }

/* No sleep: the cycle counter would stand still, and a probe that writes to RAM wakes nobody. */
void board_sleep(void) {}
