/* What differs from board to board. */
#ifndef BOARD_H
#define BOARD_H

#include <stdint.h>

#include "link/hil_port.h"

#ifdef __cplusplus
extern "C" {
#endif

extern const char* const board_target;
extern const char* const board_clock;
extern const uint32_t board_clock_hz;
extern const hil_port board_line;

void board_start(void);

/* The clock begins at 0, and no interrupt comes until it is stopped. */
void board_clock_start(void);
void board_clock_stop(void);
uint32_t board_ticks(void);

/* Returns when a byte has come, or after a millisecond. */
void board_sleep(void);

#ifdef __cplusplus
}
#endif

#endif /* BOARD_H */
