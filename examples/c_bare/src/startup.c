/* From the reset to main(), for any Cortex-M; the vectors of the board come behind those of the core. */
#include <stdint.h>

extern uint32_t stack_top[], data_load[], data_start[], data_end[], bss_start[], bss_end[];

int main(void);
void reset(void);
void tick(void);

/* Where a fault ends, for whoever looks with a debugger. */
static void stop(void) {
  for (;;) {
  }
}

void reset(void) {
  const uint32_t* from = data_load;
  for (uint32_t* to = data_start; to != data_end; ++to) {
    *to = *from++;
  }
  for (uint32_t* word = bss_start; word != bss_end; ++word) {
    *word = 0;
  }
  (void)main();
  stop();
}

typedef void (*handler)(void);

__attribute__((section(".vectors"), used)) static const struct {
  uint32_t* stack;
  handler handlers[15];
} vectors = {stack_top, {reset, stop, stop, stop, stop, stop, 0, 0, 0, 0, stop, stop, 0, stop, tick}};
