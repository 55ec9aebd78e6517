/* Start-up, clock and sleep of a 32-bit RISC-V core in machine mode. Clock: the CSR mcycle (RISC-V Privileged
 * Architecture, 3.1.10), which QEMU counts in nanoseconds of its emulated time.
 */
#include "board.h"
#include "uart.h"

#define WORD(address) (*(volatile uint32_t*)(address))
#define WAKES (1u << 7 | 1u << 11) /* of mie: timer, interrupt controller */
/* SiFive's PLIC (FE310-G002 Manual, 10), of which QEMU's `virt` has one too. */
#define PRIORITY WORD(0x0C000000u + 4u * UART_INTERRUPT)
#define ENABLED WORD(0x0C002000u)
#define CLAIM WORD(0x0C200004u)

extern uint32_t data_load[], data_start[], data_end[], bss_start[], bss_end[];

const char* const board_clock = "mcycle";
const uint32_t board_clock_hz = CLOCK_HZ;

static uint32_t began;

int main(void);
void reset_c(void);
void trap(void);

__attribute__((section(".vectors"), naked, used)) void reset(void) {
  __asm__ volatile(
      ".option push\n.option norelax\n  la gp, __global_pointer$\n.option pop\n"
      "  la sp, stack_top\n  la t0, trap\n  csrw mtvec, t0\n  csrw mie, zero\n  call reset_c\n1: j 1b\n");
}

/* Where a trap ends, for whoever looks with a debugger; mcause, mepc and mtval say why. */
__attribute__((aligned(4))) void trap(void) {
  for (;;) {
  }
}

void reset_c(void) {
  const uint32_t* from = data_load;
  for (uint32_t* to = data_start; to != data_end; ++to) {
    *to = *from++;
  }
  for (uint32_t* word = bss_start; word != bss_end; ++word) {
    *word = 0;
  }
  (void)main();
  trap();
}

static uint32_t cycles(void) {
  uint32_t found;
  __asm__ volatile("csrr %0, mcycle" : "=r"(found)::"memory");
  return found;
}

void board_start(void) {
  uart_start();
  PRIORITY = 1u;
  ENABLED = 1u << UART_INTERRUPT;
}

void board_clock_start(void) { began = cycles(); }

void board_clock_stop(void) {}

uint32_t board_ticks(void) { return cycles() - began; }

/* Interrupts are masked: one that is pending and enabled ends a WFI all the same. */
void nap(void) {
  WORD(TIMER_COMPARE + 4u) = UINT32_MAX;
  const uint64_t at = ((uint64_t)WORD(TIMER_TIME + 4u) << 32 | WORD(TIMER_TIME)) + TIMER_HZ / 1000u + 1u;
  WORD(TIMER_COMPARE) = (uint32_t)at;
  WORD(TIMER_COMPARE + 4u) = (uint32_t)(at >> 32);
  __asm__ volatile("csrs mie, %0\n  wfi\n  csrc mie, %0" ::"r"(WAKES) : "memory");
  CLAIM = CLAIM; /* taken, and done with */
}

void board_sleep(void) {
  if (!uart_has_byte()) {
    nap();
  }
}
