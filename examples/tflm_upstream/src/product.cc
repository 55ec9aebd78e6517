// The product: gate, front end, model, decision; and what the test agent is told of it.
#include "product.h"

#include <algorithm>
#include <cstring>

#include "board.h"
#include "engine.h"
#include "link/crc32.h"
#include "model.h"
#include "pipeline.h"
#include "stack.h"

namespace {

constexpr uint8_t kInt8 = 9;  // TensorType of the TFLite schema

int8_t prepared[model::kInputs];
int8_t output[model::kLabels];
bool ran;

struct Times {
  uint32_t gate, stages[3];  // the clock behind the gate, and behind front end, model and decision
};

// What the product does with a window. `profiled` times the operators too.
pipeline::Refusal Process(const hil_window& window, bool profiled, pipeline::Decision* found, Times* taken) {
  if (window.fresh) {
    pipeline::Fresh();
  }
  const pipeline::Refusal refused = pipeline::Gate(window.capture, window.bytes.data, window.bytes.size);
  taken->gate = board_ticks();
  if (refused != pipeline::kValid) {
    return refused;
  }
  const engine::Tensor input = engine::Input();
  pipeline::Prepare(window.bytes.data, input.zero_point, prepared);
  std::memcpy(input.data, prepared, sizeof prepared);
  taken->stages[0] = board_ticks();
  engine::Profile(profiled);
  const bool invoked = engine::Invoke();
  engine::Profile(false);
  std::memcpy(output, engine::Output().data, sizeof output);
  taken->stages[1] = board_ticks();
  if (!invoked) {
    std::memset(output, 0, sizeof output);  // TFLM has refused what it took at the start: nothing to decide on
  }
  *found = pipeline::Decide(output);
  taken->stages[2] = board_ticks();
  return refused;
}

// ---- for the test agent

hil_text TextOf(const char* text) { return {text, static_cast<uint32_t>(std::strlen(text))}; }

void TellDecision(const pipeline::Decision& found, hil_decision* told) {
  told->winner = found.winner;
  told->score = found.score;
  told->answer = found.answer;
  told->reason = found.reason;
  if (found.answer >= 0) {
    told->label = TextOf(model::labels[found.answer]);
  }
}

void Tell(pipeline::Refusal refused, const pipeline::Decision& found, hil_record* record) {
  ran = refused == pipeline::kValid;
  record->gate = refused;
  record->status = ran ? 0 : 1;
  record->canaries = engine::Canaries();
  record->arena_high_water = engine::ArenaHighWater();
  record->stack_high_water = stack::HighWater();
  TellDecision(found, &record->decision);  // of a window that is refused: none
  if (!ran) {
    return;
  }
  const auto ends = std::minmax_element(prepared, prepared + model::kInputs);
  record->digest = hil_crc32(reinterpret_cast<const uint8_t*>(prepared), sizeof prepared);
  record->minimum = *ends.first;
  record->maximum = *ends.second;
  record->saturated = static_cast<uint32_t>(std::count_if(
      prepared, prepared + model::kInputs, [](int8_t value) { return value == INT8_MIN || value == INT8_MAX; }));
  record->output = {reinterpret_cast<const uint8_t*>(output), sizeof output};
}

void RunWith(const hil_window& window, bool profiled, hil_record* record) {
  pipeline::Decision found = pipeline::kNothing;
  Times taken = {};
  record->received = hil_crc32(window.bytes.data, window.bytes.size);
  record->tells = HIL_TELLS_RECEIVED | HIL_TELLS_GATE;
  board_clock_start();
  const pipeline::Refusal refused = Process(window, profiled, &found, &taken);
  board_clock_stop();
  record->gate_ticks = taken.gate;
  std::copy(taken.stages, taken.stages + 3, record->ticks);
  Tell(refused, found, record);
}

void Run(void*, const hil_window* window, hil_record* record) { RunWith(*window, false, record); }

uint32_t invoke_begun;

void Profile(void*, const hil_window* window, hil_record* record, uint32_t* ran_operators, uint32_t* kept) {
  RunWith(*window, true, record);
  invoke_begun = record->ticks[0];
  *ran_operators = *kept = ran ? engine::Profiled() : 0;
}

bool OperatorTime(void*, uint32_t index, hil_operator_time* time) {
  engine::OperatorTime taken;
  if (!engine::ProfileOf(index, &taken)) {
    return false;
  }
  *time = {taken.code, taken.begin - invoke_begun, taken.end - invoke_begun};
  return true;
}

uint32_t Plain(void*, const hil_window* window, hil_record* record) {
  pipeline::Decision found = pipeline::kNothing;
  Times unused = {};
  const uint32_t start = board_ticks();
  const pipeline::Refusal refused = Process(*window, false, &found, &unused);
  const uint32_t ticks = board_ticks() - start;
  Tell(refused, found, record);
  return ticks;
}

bool Decide(void*, bool fresh, hil_bytes scores, hil_decision* told, uint32_t* wanted) {
  *wanted = model::kLabels;
  if (scores.size != model::kLabels) {
    return false;
  }
  if (fresh) {
    pipeline::Fresh();
  }
  TellDecision(pipeline::Decide(reinterpret_cast<const int8_t*>(scores.data)), told);
  return true;
}

bool Fetch(void*, uint32_t item, hil_bytes* tensor) {
  *tensor = item == HIL_PREPARED_TENSOR ? hil_bytes{reinterpret_cast<const uint8_t*>(prepared), sizeof prepared}
                                        : hil_bytes{reinterpret_cast<const uint8_t*>(output), sizeof output};
  return ran;
}

void TellTensor(const engine::Tensor& tensor, hil_tensor* told) {
  told->type = kInt8;
  told->rank = tensor.rank;
  std::copy(tensor.shape, tensor.shape + tensor.rank, told->shape);
  told->scale = tensor.scale;
  told->zero_point = tensor.zero_point;
  told->bytes = tensor.bytes;
}

void Describe(void*, hil_facts* facts) {
  static hil_text texts[model::kLabels];
  std::transform(model::labels, model::labels + model::kLabels, texts, TextOf);
  facts->firmware = "1.0.0";
  facts->target = board_target;
  facts->compiler = "gcc " __VERSION__;
  facts->flags = FLAGS;
  facts->kernels = KERNELS;
  facts->can = HIL_CAN_MARKS;
  facts->operators.data = engine::Operators(&facts->operators.size);
  facts->clock = board_clock;
  facts->clock_hz = board_clock_hz;
  facts->arena_bytes = engine::kArenaBytes;
  facts->arena_used = engine::ArenaUsed();
  facts->arena_high_water = engine::ArenaHighWater();
  facts->stack_bytes = stack::kBytes;
  std::memcpy(facts->model_hash, model::hash, sizeof facts->model_hash);
  facts->case_name = TextOf(model::case_name);
  facts->case_version = model::case_version;
  facts->label_count = model::kLabels;
  facts->labels = texts;
  TellTensor(engine::Input(), &facts->input);
  TellTensor(engine::Output(), &facts->output);
}

}  // namespace

const hil_product product = {nullptr, Describe,     Run,   Decide,  Fetch,   nullptr,
                             Profile, OperatorTime, Plain, nullptr, nullptr, nullptr};
