/* The agent's line over a UART that is polled. It loses nothing on QEMU, which holds bytes back until they are read. A
 * physical UART does not wait: there an interrupt must collect the bytes, as in ../src/mps2_an386.c.
 */
#include "board.h"
#include "uart.h"

const char* const board_target = TARGET;

static size_t line_read(void* context, uint8_t* data, size_t size) {
  (void)context;
  size_t count = 0;
  while (count < size && uart_has_byte()) {
    data[count++] = uart_byte();
  }
  return count;
}

static size_t line_write(void* context, const uint8_t* data, size_t size) {
  (void)context;
  size_t count = 0;
  while (count < size && uart_takes_byte()) {
    uart_send(data[count++]);
  }
  return count;
}

const hil_port board_line = {.read = line_read, .write = line_write};
