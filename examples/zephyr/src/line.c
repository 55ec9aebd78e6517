/* The line of the agent over any UART of Zephyr with the interrupt-driven API. `chosen { hil,uart = ...; }` names it.
 */
#include <zephyr/device.h>
#include <zephyr/drivers/uart.h>
#include <zephyr/irq.h>
#include <zephyr/kernel.h>
#include <zephyr/sys/ring_buffer.h>

#include "board.h"

static const struct device* const uart = DEVICE_DT_GET(DT_CHOSEN(hil_uart));

RING_BUF_DECLARE(received, 2048); /* a request, and what comes while a window runs */
RING_BUF_DECLARE(waiting, 256);
K_SEM_DEFINE(came, 0, 1);

/* A byte that finds no room is lost; the host repeats the request. */
static void take(const struct device* device) {
  uint8_t bytes[16];
  const int count = uart_fifo_read(device, bytes, sizeof(bytes));

  if (count > 0) {
    (void)ring_buf_put(&received, bytes, (uint32_t)count);
    k_sem_give(&came);
  }
}

static void give(const struct device* device) {
  uint8_t* bytes;
  const uint32_t size = ring_buf_get_claim(&waiting, &bytes, 16);
  const int sent = size > 0 ? uart_fifo_fill(device, bytes, (int)size) : 0;

  (void)ring_buf_get_finish(&waiting, sent > 0 ? (uint32_t)sent : 0u);
  if (size == 0) {
    uart_irq_tx_disable(device);
  }
}

/* Not held back by uart_irq_is_pending(): some drivers call this to set the sending off, with no interrupt pending. */
static void handle(const struct device* device, void* context) {
  ARG_UNUSED(context);
  (void)uart_irq_update(device);
  while (uart_irq_rx_ready(device) > 0) {
    take(device);
  }
  if (uart_irq_tx_ready(device) > 0) {
    give(device);
  }
}

static size_t line_read(void* context, uint8_t* data, size_t size) {
  ARG_UNUSED(context);
  return ring_buf_get(&received, data, (uint32_t)size);
}

static size_t line_write(void* context, const uint8_t* data, size_t size) {
  ARG_UNUSED(context);
  const uint32_t taken = ring_buf_put(&waiting, data, (uint32_t)size);

  if (taken > 0) {
    uart_irq_tx_enable(uart);
  }
  return taken;
}

const hil_port board_line = {.read = line_read, .write = line_write};

void board_start(void) {
  __ASSERT(device_is_ready(uart), "the UART of the agent is not there");
  (void)uart_irq_callback_user_data_set(uart, handle, NULL);
  /* A byte that came before the interrupt was enabled raises none, and on the MPS2 no other comes behind it. */
  const unsigned int key = irq_lock();

  uart_irq_rx_enable(uart);
  for (uint8_t byte; uart_poll_in(uart, &byte) == 0;) {
    (void)ring_buf_put(&received, &byte, 1);
  }
  irq_unlock(key);
  k_sem_give(&came);
}

/* Until a byte comes: a time-out would only wake the core for nothing. */
void board_sleep(void) { (void)k_sem_take(&came, K_FOREVER); }
