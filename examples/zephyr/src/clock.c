/* The clock of the stages: Zephyr's cycle counter; on the MPS2 its CMSDK timer 0, which can be set back before each
 * window. QEMU counts instructions, and a counter that runs on would show one tick more or less of the same window.
 */
#include <zephyr/devicetree.h>
#include <zephyr/irq.h>
#include <zephyr/kernel.h>
#include <zephyr/sys/sys_io.h>

#include "board.h"

const char* const board_target = CONFIG_BOARD;
const uint32_t board_clock_hz = CONFIG_SYS_CLOCK_HW_CYCLES_PER_SEC;

static unsigned int key;

#if DT_NODE_HAS_COMPAT(DT_NODELABEL(timer0), arm_cmsdk_timer)

/* Arm DDI 0479, section 4.4: it counts down at the rate of the core. */
#define TIMER DT_REG_ADDR(DT_NODELABEL(timer0))
#define TIMER_CONTROL (TIMER + 0x0)
#define TIMER_VALUE (TIMER + 0x4)
#define TIMER_RELOAD (TIMER + 0x8)

const char* const board_clock = "cmsdk-timer0";

void board_clock_start(void) {
  key = irq_lock();
  sys_write32(UINT32_MAX, TIMER_RELOAD);
  sys_write32(1, TIMER_CONTROL);
  sys_write32(UINT32_MAX, TIMER_VALUE);
}

uint32_t board_ticks(void) { return UINT32_MAX - sys_read32(TIMER_VALUE); }

#else

const char* const board_clock = "k_cycle_get_32";

static uint32_t begun;

/* No interrupt is timed along. SysTick has 24 bits and its driver sees one wrap: a product that takes longer than 99 ms
 * at 168 MHz must not lock.
 */
void board_clock_start(void) {
  key = irq_lock();
  begun = k_cycle_get_32();
}

uint32_t board_ticks(void) { return k_cycle_get_32() - begun; }

#endif

void board_clock_stop(void) { irq_unlock(key); }
