#include "product.h"

#include <string.h>

#include "board.h"
#include "decide.h"
#include "front_end.h"
#include "gate.h"
#include "link/crc32.h"
#include "network.h"

#define INT8 9 /* TensorType of the TFLite schema */

#ifndef CASE_NAME
#define CASE_NAME "c_bare"
#endif

static struct {
  gate_state gate;
  decide_state decide;
  int8_t input[INPUTS];
  int8_t output[LABELS];
  bool ran;
} self;

/* The clock at the end of each stage; those behind the gate only of a window that it takes. */
typedef struct {
  uint32_t gate;
  uint32_t stages[3]; /* front end, network, decision */
} times;

/* What the product does with a window. */
static uint8_t process(uint32_t capture, bool fresh, const uint8_t* window, size_t bytes, decision* found,
                       times* taken) {
  if (fresh) {
    decide_start(&self.decide);
  }
  const uint8_t refused = gate(&self.gate, capture, window, bytes);
  taken->gate = board_ticks();
  if (refused != VALID) {
    return refused;
  }
  front_end(window, self.input);
  taken->stages[0] = board_ticks();
  network(self.input, self.output);
  taken->stages[1] = board_ticks();
  *found = decide(&self.decide, self.output);
  taken->stages[2] = board_ticks();
  return VALID;
}

/* ---- for the test agent ---------------------------------------------------------------------------------------- */

static hil_text text_of(const char* text) {
  const hil_text found = {text, (uint32_t)strlen(text)};
  return found;
}

static void tell_decision(const decision* found, hil_decision* told) {
  told->winner = found->winner;
  told->score = found->score;
  told->answer = found->answer;
  told->reason = found->reason;
  if (found->answer != NO_LABEL) {
    told->label = text_of(labels[found->answer]);
  }
}

static void tell_input(hil_record* record) {
  record->digest = hil_crc32((const uint8_t*)self.input, INPUTS);
  record->minimum = INT8_MAX;
  record->maximum = INT8_MIN;
  for (uint32_t i = 0; i < INPUTS; ++i) {
    const int32_t value = self.input[i];
    record->minimum = value < record->minimum ? value : record->minimum;
    record->maximum = value > record->maximum ? value : record->maximum;
    record->saturated += value == INT8_MIN || value == INT8_MAX ? 1u : 0u;
  }
}

static void tell(uint8_t refused, const decision* found, hil_record* record) {
  self.ran = refused == VALID;
  record->gate = refused;
  record->status = (uint8_t)(refused == VALID ? 0 : 1);
  if (self.ran) {
    tell_input(record);
    record->output.data = (const uint8_t*)self.output;
    record->output.size = LABELS;
    tell_decision(found, &record->decision);
  }
}

static void run(void* context, const hil_window* window, hil_record* record) {
  (void)context;
  decision found = {NO_LABEL, 0, NO_LABEL, 0};
  record->received = hil_crc32(window->bytes.data, window->bytes.size);
  record->tells = HIL_TELLS_RECEIVED | HIL_TELLS_GATE;
  times taken = {0, {0, 0, 0}};
  board_clock_start();
  const uint8_t refused =
      process(window->capture, window->fresh, window->bytes.data, window->bytes.size, &found, &taken);
  board_clock_stop();
  record->gate_ticks = taken.gate;
  (void)memcpy(record->ticks, taken.stages, sizeof taken.stages);
  tell(refused, &found, record);
}

static uint32_t plain(void* context, const hil_window* window, hil_record* record) {
  (void)context;
  decision found = {NO_LABEL, 0, NO_LABEL, 0};
  times unused;
  const uint32_t start = board_ticks();
  const uint8_t refused =
      process(window->capture, window->fresh, window->bytes.data, window->bytes.size, &found, &unused);
  const uint32_t ticks = board_ticks() - start;
  tell(refused, &found, record);
  return ticks;
}

static bool decide_on(void* context, bool fresh, hil_bytes scores, hil_decision* told, uint32_t* wanted) {
  (void)context;
  *wanted = LABELS;
  if (scores.size != LABELS) {
    return false;
  }
  if (fresh) {
    decide_start(&self.decide);
  }
  const decision found = decide(&self.decide, (const int8_t*)scores.data);
  tell_decision(&found, told);
  return true;
}

static bool fetch(void* context, uint32_t item, hil_bytes* tensor) {
  (void)context;
  const bool prepared = item == HIL_PREPARED_TENSOR;
  tensor->data = (const uint8_t*)(prepared ? self.input : self.output);
  tensor->size = prepared ? INPUTS : LABELS;
  return self.ran;
}

static void tell_tensor(hil_tensor* tensor, uint32_t elements, const quantisation* scale) {
  tensor->type = INT8;
  tensor->rank = 2;
  tensor->shape[0] = 1;
  tensor->shape[1] = elements;
  tensor->scale = scale->scale;
  tensor->zero_point = scale->zero_point;
  tensor->bytes = elements;
}

static void describe(void* context, hil_facts* facts) {
  (void)context;
  static const uint8_t operators[] = {9}; /* FULLY_CONNECTED */
  static hil_text texts[LABELS];
  for (uint32_t i = 0; i < LABELS; ++i) {
    texts[i] = text_of(labels[i]);
  }
  facts->firmware = "1.0.0";
  facts->target = board_target;
  facts->compiler = "gcc " __VERSION__;
  facts->flags = FLAGS;
  facts->kernels = "by hand";
  facts->operators.data = operators;
  facts->operators.size = sizeof operators;
  facts->clock = board_clock;
  facts->clock_hz = board_clock_hz;
  (void)memcpy(facts->model_hash, model_hash, sizeof facts->model_hash);
  facts->case_name = text_of(CASE_NAME);
  facts->case_version = 1;
  facts->label_count = LABELS;
  facts->labels = texts;
  tell_tensor(&facts->input, INPUTS, &model_input);
  tell_tensor(&facts->output, LABELS, &model_output);
}

const hil_product product = {
    .describe = describe, .run = run, .decide = decide_on, .fetch = fetch, .plain = plain, .test = self_test};
