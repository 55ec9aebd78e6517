/* Arm MPS2 with the AN386 image, as QEMU models it: the line is UART 0. CMSDK peripherals: Arm DDI 0479. */
#include <stdbool.h>

#include "board.h"

#define HZ 25000000u
#define REGISTER(address) (*(volatile uint32_t*)(address))
#define TIMER_CONTROL REGISTER(0x40000000u)
#define TIMER_VALUE REGISTER(0x40000004u)
#define TIMER_RELOAD REGISTER(0x40000008u)
#define UART_DATA REGISTER(0x40004000u)
#define UART_STATE REGISTER(0x40004004u) /* bit 0: cannot send, bit 1: has received */
#define UART_CONTROL REGISTER(0x40004008u)
#define UART_INTERRUPT REGISTER(0x4000400Cu)
#define UART_BAUDDIV REGISTER(0x40004010u)
#define SYSTICK_CONTROL REGISTER(0xE000E010u)
#define SYSTICK_RELOAD REGISTER(0xE000E014u)
#define INTERRUPT_ENABLE REGISTER(0xE000E100u)

#define RING_BYTES 2048u /* a request, and what comes while a window runs; a power of two */

const char* const board_target = "mps2-an386";
const char* const board_clock = "cmsdk-timer0";
const uint32_t board_clock_hz = HZ;

static volatile uint8_t ring[RING_BYTES];
static volatile uint32_t filled, emptied; /* bytes since the start */

void tick(void);
void uart_receive(void);

void tick(void) {} /* all that it does is to end a WFI */

/* A byte that finds no room is lost; the host repeats the request. */
void uart_receive(void) {
  UART_INTERRUPT = 2u;
  while ((UART_STATE & 2u) != 0) {
    const uint8_t byte = (uint8_t)UART_DATA;
    if (filled - emptied < RING_BYTES) {
      ring[filled % RING_BYTES] = byte;
      filled = filled + 1u;
    }
  }
}

__attribute__((section(".vectors.board"), used)) static void (*const uart_vector)(void) = uart_receive;

static size_t line_read(void* context, uint8_t* data, size_t size) {
  (void)context;
  size_t count = 0;
  while (count < size && emptied != filled) {
    data[count++] = ring[emptied % RING_BYTES];
    emptied = emptied + 1u;
  }
  return count;
}

static size_t line_write(void* context, const uint8_t* data, size_t size) {
  (void)context;
  size_t count = 0;
  while (count < size && (UART_STATE & 1u) == 0) {
    UART_DATA = data[count++];
  }
  return count;
}

/* No time: a UART sends whether or not somebody listens, so that no reply is ever given up. And an emulator's seconds
 * are not those of the host: it may see one pass before the host comes to read.
 */
const hil_port board_line = {.read = line_read, .write = line_write};

void board_start(void) {
  TIMER_RELOAD = UINT32_MAX;
  TIMER_CONTROL = 1u;
  UART_BAUDDIV = HZ / 921600u;
  UART_CONTROL = 1u | 2u | 8u; /* send, receive, interrupt of a byte that has come */
  INTERRUPT_ENABLE = 1u;
  SYSTICK_RELOAD = HZ / 1000u - 1u;
  SYSTICK_CONTROL = 7u;
}

/* The timer counts down. Its period begins anew when its value is written, so that all windows begin alike. */
void board_clock_start(void) {
  __asm__ volatile("cpsid i" ::: "memory");
  TIMER_VALUE = UINT32_MAX;
}

void board_clock_stop(void) { __asm__ volatile("cpsie i" ::: "memory"); }

uint32_t board_ticks(void) { return UINT32_MAX - TIMER_VALUE; }

/* With interrupts masked, one that is pending ends the WFI all the same, so that none is slept through. */
void board_sleep(void) {
  __asm__ volatile("cpsid i" ::: "memory");
  if (emptied == filled) {
    __asm__ volatile("wfi" ::: "memory");
  }
  __asm__ volatile("cpsie i" ::: "memory");
}
