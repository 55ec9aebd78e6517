#include "agent/reply.h"

#include <string.h>

#include "zcbor_decode.h"

/* Not used where containers have no length. */
#define ANY_NUMBER 1u

/* A list in which a map is opened. */
#define DEPTH 2u

static uint32_t at_most(uint32_t count, uint32_t most) { return count < most ? count : most; }

bool hil_begin_list(zcbor_state_t* out) { return zcbor_list_start_encode(out, ANY_NUMBER); }
bool hil_end_list(zcbor_state_t* out) { return zcbor_list_end_encode(out, ANY_NUMBER); }
bool hil_begin_map(zcbor_state_t* out) { return zcbor_map_start_encode(out, ANY_NUMBER); }
bool hil_end_map(zcbor_state_t* out) { return zcbor_map_end_encode(out, ANY_NUMBER); }

bool hil_put_key(zcbor_state_t* out, const char* key) { return zcbor_tstr_encode_ptr(out, key, strlen(key)); }

/* zcbor copies with memcpy, which takes no null pointer, not even for nothing. */
static bool put_text(zcbor_state_t* out, hil_text text) {
  return text.data != NULL ? zcbor_tstr_encode_ptr(out, text.data, text.size) : zcbor_tstr_encode_ptr(out, "", 0);
}

bool hil_put_bytes(zcbor_state_t* out, hil_bytes bytes) {
  const void* const data = bytes.data != NULL ? (const void*)bytes.data : "";
  return zcbor_bstr_encode_ptr(out, data, bytes.data != NULL ? bytes.size : 0u);
}

static bool name(zcbor_state_t* out, const char* key, const char* value) {
  return hil_put_key(out, key) && hil_put_key(out, value != NULL ? value : "");
}

static bool number(zcbor_state_t* out, const char* key, uint32_t value) {
  return hil_put_key(out, key) && zcbor_uint32_put(out, value);
}

static bool integer(zcbor_state_t* out, const char* key, int32_t value) {
  return hil_put_key(out, key) && zcbor_int32_put(out, value);
}

static bool bytes(zcbor_state_t* out, const char* key, const uint8_t* data, uint32_t size) {
  const hil_bytes all = {data, size};
  return hil_put_key(out, key) && hil_put_bytes(out, all);
}

static bool numbers(zcbor_state_t* out, const char* key, const uint32_t* values, uint32_t count) {
  bool fits = hil_put_key(out, key) && hil_begin_list(out);
  for (uint32_t i = 0; fits && i < count; ++i) {
    fits = zcbor_uint32_put(out, values[i]);
  }
  return fits && hil_end_list(out);
}

bool hil_put_tensor(zcbor_state_t* out, const hil_tensor* tensor) {
  return hil_begin_map(out) && number(out, "type", tensor->type) &&
         numbers(out, "shape", tensor->shape, at_most(tensor->rank, HIL_MAX_RANK)) && hil_put_key(out, "scale") &&
         zcbor_float32_put(out, tensor->scale) && integer(out, "zero_point", tensor->zero_point) &&
         number(out, "bytes", tensor->bytes) && hil_end_map(out);
}

static bool tensor_of(zcbor_state_t* out, const char* key, const hil_tensor* tensor) {
  return hil_put_key(out, key) && hil_put_tensor(out, tensor);
}

static bool operators(zcbor_state_t* out, hil_bytes codes) {
  bool fits = hil_put_key(out, "operators") && hil_begin_list(out);
  for (uint32_t i = 0; fits && i < at_most(codes.size, HIL_MAX_OPERATORS); ++i) {
    fits = zcbor_uint32_put(out, codes.data[i]);
  }
  return fits && hil_end_list(out);
}

static bool labels(zcbor_state_t* out, const hil_facts* facts) {
  bool fits = hil_put_key(out, "labels") && hil_begin_list(out);
  for (uint32_t i = 0; fits && i < at_most(facts->label_count, HIL_MAX_LABELS); ++i) {
    fits = put_text(out, facts->labels[i]);
  }
  return fits && hil_end_list(out);
}

bool hil_put_facts(zcbor_state_t* out, const hil_facts* facts, uint32_t can) {
  return hil_begin_map(out) && number(out, "protocol", HIL_PROTOCOL) && name(out, "firmware", facts->firmware) &&
         name(out, "target", facts->target) && name(out, "compiler", facts->compiler) &&
         name(out, "flags", facts->flags) && name(out, "kernels", facts->kernels) && number(out, "can", can) &&
         operators(out, facts->operators) && name(out, "clock", facts->clock) &&
         number(out, "clock_hz", facts->clock_hz) && number(out, "frame_bytes", HIL_AGENT_REQUEST_BYTES) &&
         number(out, "arena_bytes", facts->arena_bytes) && number(out, "stack_bytes", facts->stack_bytes) &&
         number(out, "bundle_status", facts->bundle_status) && number(out, "bundle_detail", facts->bundle_detail) &&
         bytes(out, "bundle_hash", facts->bundle_hash, sizeof(facts->bundle_hash)) &&
         bytes(out, "model_hash", facts->model_hash, sizeof(facts->model_hash)) && hil_put_key(out, "case") &&
         put_text(out, facts->case_name) && number(out, "case_version", facts->case_version) && labels(out, facts) &&
         tensor_of(out, "input", &facts->input) && tensor_of(out, "output", &facts->output) &&
         number(out, "arena_used", facts->arena_used) && number(out, "arena_high_water", facts->arena_high_water) &&
         hil_end_map(out);
}

bool hil_put_decision(zcbor_state_t* out, const hil_decision* decision) {
  return hil_begin_map(out) && integer(out, "winner", decision->winner) && integer(out, "score", decision->score) &&
         integer(out, "answer", decision->answer) && number(out, "reason", decision->reason) &&
         hil_put_key(out, "label") && put_text(out, decision->label) && hil_end_map(out);
}

static bool prepared(zcbor_state_t* out, const hil_prepared* of) {
  return hil_begin_list(out) && zcbor_uint32_put(out, of->digest) && zcbor_int32_put(out, of->minimum) &&
         zcbor_int32_put(out, of->maximum) && zcbor_uint32_put(out, of->saturated) && hil_end_list(out);
}

static bool further_inputs(zcbor_state_t* out, const hil_record* record) {
  bool fits = hil_put_key(out, "inputs") && hil_begin_list(out);
  for (uint32_t i = 0; fits && i < at_most(record->input_count, HIL_MAX_FURTHER_INPUTS); ++i) {
    fits = prepared(out, &record->inputs[i]);
  }
  return fits && hil_end_list(out);
}

static bool further_outputs(zcbor_state_t* out, const hil_record* record) {
  bool fits = hil_put_key(out, "outputs") && hil_begin_list(out);
  for (uint32_t i = 0; fits && i < at_most(record->output_count, HIL_MAX_FURTHER_OUTPUTS); ++i) {
    fits = hil_put_bytes(out, record->outputs[i]);
  }
  return fits && hil_end_list(out);
}

static bool heap(zcbor_state_t* out, const hil_heap* of) {
  const uint32_t told[4] = {of->used, of->peak, of->size, of->failed};
  return numbers(out, "heap", told, 4);
}

/* What a record tells besides. */
static bool optional(zcbor_state_t* out, const hil_record* record) {
  const unsigned tells = record->tells;
  return ((tells & HIL_TELLS_RECEIVED) == 0u || number(out, "received", record->received)) &&
         ((tells & HIL_TELLS_GATE) == 0u || number(out, "gate_ticks", record->gate_ticks)) &&
         ((tells & HIL_TELLS_CORE) == 0u || numbers(out, "core", record->core, 4)) &&
         ((tells & HIL_TELLS_HEAP) == 0u || heap(out, &record->heap)) &&
         (record->input_count == 0u || further_inputs(out, record)) &&
         (record->output_count == 0u || further_outputs(out, record));
}

bool hil_put_record(zcbor_state_t* out, const hil_record* record) {
  return hil_begin_map(out) && number(out, "status", record->status) && number(out, "gate", record->gate) &&
         numbers(out, "ticks", record->ticks, 3) && number(out, "digest", record->digest) &&
         integer(out, "minimum", record->minimum) && integer(out, "maximum", record->maximum) &&
         number(out, "saturated", record->saturated) &&
         bytes(out, "output", record->output.data, record->output.size) && hil_put_key(out, "decision") &&
         hil_put_decision(out, &record->decision) && number(out, "canaries", record->canaries) &&
         number(out, "arena_high_water", record->arena_high_water) &&
         number(out, "stack_high_water", record->stack_high_water) && optional(out, record) && hil_end_map(out);
}

bool hil_is_reply(const hil_message* message, uint32_t* id) {
  uint32_t boot;
  ZCBOR_STATE_D(in, DEPTH, message->data, message->size, 1, 0);
  *id = 0;
  return zcbor_list_start_decode(in) && zcbor_uint32_decode(in, id) && zcbor_uint32_decode(in, &boot) &&
         zcbor_map_start_decode(in);
}
