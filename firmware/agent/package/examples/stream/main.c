/* The least that a firmware adds to be tested: a product of two functions, a port of four, and a loop. This one is a
 * program; its line is the terminal that it is given (`stty raw -echo` first), or its standard input, where that is a
 * socket.
 */
#define _POSIX_C_SOURCE 200809L

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/hil_agent.h"
#include "link/crc32.h"

/* ---- the product: tells whether a window of 16 samples rises or falls ------------------------------------------- */

#define SAMPLES 16

static const hil_text labels[2] = {{"falls", 5}, {"rises", 5}};

typedef struct {
  int8_t input[SAMPLES];
  int8_t output[2];
} state;

static uint64_t microseconds(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

static uint32_t since(uint64_t start) { return (uint32_t)(microseconds() - start); }

static int8_t clamped(int value) { return (int8_t)(value > 127 ? 127 : value < -128 ? -128 : value); }

/* Little-endian int16 to int8, 1 LSB for 256 counts. */
static void prepare(state* product, const uint8_t* window) {
  for (size_t i = 0; i < SAMPLES; ++i) {
    product->input[i] = (int8_t)window[2u * i + 1u];
  }
}

static void invoke(state* product) {
  int rise = 0;
  for (size_t i = 0; i < SAMPLES; ++i) {
    rise += i < SAMPLES / 2 ? -product->input[i] : product->input[i];
  }
  product->output[0] = clamped(-rise);
  product->output[1] = clamped(rise);
}

static void tell_tensor(hil_tensor* tensor, uint32_t elements) {
  tensor->type = 9; /* int8 */
  tensor->rank = 2;
  tensor->shape[0] = 1;
  tensor->shape[1] = elements;
  tensor->scale = 1.0f;
  tensor->bytes = elements;
}

static void describe(void* context, hil_facts* facts) {
  (void)context;
  facts->firmware = "1.0";
  facts->target = "example";
  facts->kernels = "by hand";
  facts->clock = "monotonic";
  facts->clock_hz = 1000000;
  facts->case_name.data = "rise";
  facts->case_name.size = 4;
  facts->case_version = 1;
  facts->labels = labels;
  facts->label_count = 2;
  tell_tensor(&facts->input, SAMPLES);
  tell_tensor(&facts->output, 2);
}

static void run(void* context, const hil_window* window, hil_record* record) {
  state* const product = context;
  const uint64_t start = microseconds();
  if (window->bytes.size != 2u * SAMPLES) {
    record->status = 1; /* rejected, */
    record->gate = 1;   /* by its length */
    return;
  }
  prepare(product, window->bytes.data);
  record->ticks[0] = since(start);
  record->minimum = 127;
  record->maximum = -128;
  for (size_t i = 0; i < SAMPLES; ++i) {
    const int8_t value = product->input[i];
    record->minimum = value < record->minimum ? value : record->minimum;
    record->maximum = value > record->maximum ? value : record->maximum;
    record->saturated += value == 127 || value == -128 ? 1u : 0u;
  }
  record->digest = hil_crc32((const uint8_t*)product->input, SAMPLES);
  invoke(product);
  record->ticks[1] = since(start);
  const int winner = product->output[1] > product->output[0] ? 1 : 0;
  record->ticks[2] = since(start);
  record->output.data = (const uint8_t*)product->output;
  record->output.size = 2;
  record->decision.winner = winner;
  record->decision.score = product->output[winner];
  record->decision.answer = winner;
  record->decision.label = labels[winner];
  record->received = hil_crc32(window->bytes.data, window->bytes.size);
  record->tells = HIL_TELLS_RECEIVED;
}

/* ---- the port: a descriptor ------------------------------------------------------------------------------------- */

typedef struct {
  int descriptor;
  bool closed;
} line;

static size_t line_read(void* context, uint8_t* data, size_t size) {
  line* const self = context;
  const ssize_t count = read(self->descriptor, data, size);
  self->closed = self->closed || count == 0;
  return count > 0 ? (size_t)count : 0u;
}

static size_t line_write(void* context, const uint8_t* data, size_t size) {
  const ssize_t count = write(((const line*)context)->descriptor, data, size);
  return count > 0 ? (size_t)count : 0u;
}

static bool line_ready(void* context) { return !((const line*)context)->closed; }

static uint32_t line_time(void* context) {
  (void)context;
  return (uint32_t)(microseconds() / 1000u);
}

/* ---- the loop --------------------------------------------------------------------------------------------------- */

static hil_agent agent; /* 3.4 kB here: not for a stack */

int main(int argc, char** argv) {
  static state rises;
  static line terminal;
  static const hil_product product = {.context = &rises, .describe = describe, .run = run};
  static const hil_port port = {
      .context = &terminal, .read = line_read, .write = line_write, .ready = line_ready, .time = line_time};
  terminal.descriptor = argc > 1 ? open(argv[1], O_RDWR | O_NOCTTY) : STDIN_FILENO;
  if (terminal.descriptor < 0) {
    perror(argv[1]);
    return 2;
  }
  (void)fcntl(terminal.descriptor, F_SETFL, O_NONBLOCK);
  if (!hil_agent_start(&agent, &product, &port, NULL)) {
    (void)fprintf(stderr, "the agent does not start: compiled with other sizes?\n");
    return 2;
  }
  while (!terminal.closed) {
    if (!hil_agent_poll(&agent)) {
      struct pollfd wanted = {.fd = terminal.descriptor, .events = POLLIN};
      (void)poll(&wanted, 1, 10);
    }
  }
  return 0;
}
