#include <algorithm>
#include <cstring>

#include "agent/hil_agent.h"
#include "app/host_link.h"
#include "base/span.h"
#include "fault/fault_record.h"
#include "link/framing.h"
#include "port/port.h"
#include "wire_decode.h"
#include "wire_encode.h"
#include "zcbor_decode.h"

extern "C" {
// Raised at every start; in RAM that a reset leaves alone, so that the host sees a restart.
__attribute__((section(".hil_shared"), used, aligned(8))) volatile uint32_t hil_boot_count;

// Id of the last request taken up; a restart leaves it alone, so that the host sees whether it came in that request.
__attribute__((section(".hil_shared"), used, aligned(8))) volatile uint32_t hil_last_request;
}

namespace hil {
namespace {

// What a request needs beside the window: the rest of its CBOR (under 40 bytes), CRC, stuffing, final zero.
constexpr size_t kRequestOverhead = 64;
constexpr size_t kFrameBytes = HIL_FRAME_BYTES;
constexpr size_t kReplyBytes = HIL_REPLY_BYTES;
constexpr size_t kWindowBytes = kFrameBytes - kFrameBytes / 254 - 2 - HIL_CRC_BYTES - kRequestOverhead;

// What a reply needs beside the bytes that a fetch carries.
constexpr size_t kFetchOverhead = 64;

enum class ErrorCode : uint8_t {
  kNotInSchema = 1,
  kProtocol = 2,  // detail: the one spoken
  kItem = 3,      // detail: bytes that there are
  kTooLong = 4,   // detail: longest that fits
  kScores = 5,    // detail: bytes wanted
  kNoProfile = 6,
  kNoSuchTest = 7,  // also of a product without a plain way
  kNoTensor = 8,
};

// Static, because the codec's structures are too big for a stack.
alignas(16) uint8_t in[kFrameBytes];
uint8_t out[HIL_FRAMING_OUT_BYTES(kReplyBytes)];
static_assert(kFrameBytes < HIL_RTT_DOWN_BYTES, "the host may write a frame in one go");
static_assert(sizeof(out) < HIL_RTT_UP_BYTES, "a reply must fit");
hil_framing framing;
request the_request;
reply the_reply;
hil_facts the_facts;
const hil_product* product;

struct LastRequest {
  bool answered = false;
  uint32_t id = 0;
  uint32_t crc = 0;
};
LastRequest last;

// zcbor copies with memcpy, which takes no null pointer, not even for nothing.
zcbor_string ToWire(const void* data, size_t size) {
  static constexpr uint8_t kNothing[1] = {};
  return {data != nullptr ? static_cast<const uint8_t*>(data) : kNothing, data != nullptr ? size : 0};
}
zcbor_string ToWire(const char* text) { return ToWire(text, text != nullptr ? std::strlen(text) : 0); }
zcbor_string ToWire(hil_text text) { return ToWire(text.data, text.size); }
zcbor_string ToWire(hil_bytes bytes) { return ToWire(bytes.data, bytes.size); }

tensor ToWire(const hil_tensor& from) {
  tensor to{};
  to.tensor_type = from.type;
  to.tensor_shape_dimension_count = from.rank;
  std::copy_n(from.shape, from.rank, to.tensor_shape_dimension);
  to.tensor_scale = from.scale;
  to.tensor_zero_point = from.zero_point;
  to.tensor_bytes = from.bytes;
  return to;
}

decision ToWire(const hil_decision& from) {
  decision to{};
  to.decision_winner = from.winner;
  to.decision_score = from.score;
  to.decision_answer = from.answer;
  to.decision_reason = from.reason;
  to.decision_label = ToWire(from.label);
  return to;
}

void AnswerError(ErrorCode code, uint32_t detail) {
  the_reply.reply_result_choice = reply::reply_result_error_result_m_c;
  the_reply.reply_result_error_result_m = {static_cast<uint32_t>(code), detail};
}

void AnswerHello(const hello_command& command) {
  if (command.hello_command_hello != HIL_PROTOCOL) {
    AnswerError(ErrorCode::kProtocol, HIL_PROTOCOL);
    return;
  }
  the_facts = {};
  product->describe(product->context, &the_facts);
  const hil_facts& facts = the_facts;
  the_reply.reply_result_choice = reply::reply_result_hello_result_m_c;
  hello_facts& to = the_reply.reply_result_hello_result_m.hello_result_hello;
  to.hello_facts_protocol = HIL_PROTOCOL;
  to.hello_facts_firmware = ToWire(facts.firmware);
  to.hello_facts_target = ToWire(facts.target);
  to.hello_facts_compiler = ToWire(facts.compiler);
  to.hello_facts_flags = ToWire(facts.flags);
  to.hello_facts_kernels = ToWire(facts.kernels);
  to.hello_facts_operators_operator_count = std::min<size_t>(facts.operators.size, HIL_MAX_OPERATORS);
  std::copy_n(facts.operators.data, to.hello_facts_operators_operator_count, to.hello_facts_operators_operator);
  to.hello_facts_clock = ToWire(facts.clock);
  to.hello_facts_clock_hz = facts.clock_hz;
  to.hello_facts_frame_bytes = kFrameBytes;
  to.hello_facts_arena_bytes = facts.arena_bytes;
  to.hello_facts_stack_bytes = facts.stack_bytes;
  to.hello_facts_bundle_status = facts.bundle_status;
  to.hello_facts_bundle_detail = facts.bundle_detail;
  to.hello_facts_bundle_hash = {facts.bundle_hash, sizeof(facts.bundle_hash)};
  to.hello_facts_model_hash = {facts.model_hash, sizeof(facts.model_hash)};
  to.hello_facts_case = ToWire(facts.case_name);
  to.hello_facts_case_version = facts.case_version;
  to.hello_facts_labels_label_count = facts.label_count;
  std::transform(facts.labels, facts.labels + facts.label_count, to.hello_facts_labels_label,
                 [](hil_text label) { return ToWire(label); });
  to.hello_facts_input = ToWire(facts.input);
  to.hello_facts_output = ToWire(facts.output);
  to.hello_facts_arena_used = facts.arena_used;
  to.hello_facts_arena_high_water = facts.arena_high_water;
}

// Moves a window to an aligned address, as a sensor's buffer would be, and scores to one like that of the output
// tensor. Where they stand in the message depends on the length of the numbers before them, and a copy's cost on where
// it stands.
hil_bytes Aligned(const zcbor_string& window) {
  constexpr uintptr_t kAlignment = 16;
  const uintptr_t misaligned = reinterpret_cast<uintptr_t>(window.value) % kAlignment;
  auto* const aligned =
      const_cast<uint8_t*>(window.value) - misaligned;  // the frame's buffer is aligned: still inside it
  std::memmove(aligned, window.value, window.len);
  return {aligned, static_cast<uint32_t>(window.len)};
}

hil_window FromWire(const run_arguments& arguments) {
  return {arguments.run_arguments_sequence, arguments.run_arguments_fresh, arguments.run_arguments_deadline,
          Aligned(arguments.run_arguments_window)};
}

// In place: a record is big for a stack.
void ToWire(const hil_record& from, record* filled) {
  record& to = *filled;
  to.record_status = from.status;
  to.record_gate = from.gate;
  to.record_ticks_prepare = from.ticks[0];
  to.record_ticks_invoke = from.ticks[1];
  to.record_ticks_decide = from.ticks[2];
  to.record_digest = from.digest;
  to.record_minimum = from.minimum;
  to.record_maximum = from.maximum;
  to.record_saturated = from.saturated;
  to.record_output = ToWire(from.output);
  to.record_decision = ToWire(from.decision);
  to.record_canaries = from.canaries;
  to.record_arena_high_water = from.arena_high_water;
  to.record_stack_high_water = from.stack_high_water;
  to.record_received_present = (from.tells & HIL_TELLS_RECEIVED) != 0;
  to.record_received.record_received = from.received;
  to.record_gate_ticks_present = (from.tells & HIL_TELLS_GATE) != 0;
  to.record_gate_ticks.record_gate_ticks = from.gate_ticks;
  to.record_core_present = (from.tells & HIL_TELLS_CORE) != 0;
  to.record_core.record_core_primask = from.core[0];
  to.record_core.record_core_basepri = from.core[1];
  to.record_core.record_core_faultmask = from.core[2];
  to.record_core.record_core_cfsr = from.core[3];
  record_inputs_r& inputs = to.record_inputs;
  to.record_inputs_present = from.input_count != 0;
  inputs.record_inputs_prepared_m_count = from.input_count;
  std::transform(from.inputs, from.inputs + from.input_count, inputs.record_inputs_prepared_m,
                 [](const hil_prepared& seen) -> prepared {
                   return {seen.digest, seen.minimum, seen.maximum, seen.saturated};
                 });
  record_outputs_r& outputs = to.record_outputs;
  to.record_outputs_present = from.output_count != 0;
  outputs.record_outputs_further_bytes_count = from.output_count;
  std::transform(from.outputs, from.outputs + from.output_count, outputs.record_outputs_further_bytes,
                 [](hil_bytes bytes) { return ToWire(bytes); });
}

void AnswerRun(const run_arguments& arguments) {
  const hil_window window = FromWire(arguments);
  hil_record from{};
  product->run(product->context, &window, &from);
  the_reply.reply_result_choice = reply::reply_result_run_result_m_c;
  ToWire(from, &the_reply.reply_result_run_result_m.run_result_run);
}

void AnswerProfile(const run_arguments& arguments) {
  if (product->profile == nullptr) {
    AnswerError(ErrorCode::kNoProfile, 0);
    return;
  }
  const hil_window window = FromWire(arguments);
  hil_record from{};
  profile_result& to = the_reply.reply_result_profile_result_m;
  product->profile(product->context, &window, &from, &to.profile_result_profile_ran, &to.profile_result_profile_kept);
  the_reply.reply_result_choice = reply::reply_result_profile_result_m_c;
  ToWire(from, &to.profile_result_profile_record_m);
}

// A page of the last profile, from operator `first` on.
void AnswerOperators(uint32_t first) {
  if (product->profile == nullptr) {
    AnswerError(ErrorCode::kNoProfile, 0);
    return;
  }
  the_reply.reply_result_choice = reply::reply_result_operators_result_m_c;
  operators_result& to = the_reply.reply_result_operators_result_m;
  constexpr size_t kPage = sizeof(to.operators_result_operators_operator_time_m) / sizeof(operator_time);
  size_t count = 0;
  hil_operator_time from{};
  while (count < kPage && product->operator_time(product->context, first + static_cast<uint32_t>(count), &from)) {
    to.operators_result_operators_operator_time_m[count++] = {from.code, from.begin, from.end};
  }
  to.operators_result_operators_operator_time_m_count = count;
}

void AnswerPlain(const plain_arguments& arguments) {
  if (product->plain == nullptr) {
    AnswerError(ErrorCode::kNoSuchTest, 0);
    return;
  }
  const hil_window window = {arguments.plain_arguments_sequence, arguments.plain_arguments_fresh, 0,
                             Aligned(arguments.plain_arguments_window)};
  hil_record from{};
  plain_result& to = the_reply.reply_result_plain_result_m;
  to.plain_result_plain_ticks = product->plain(product->context, &window, &from);
  the_reply.reply_result_choice = reply::reply_result_plain_result_m_c;
  ToWire(from, &to.plain_result_plain_record_m);
}

void AnswerSelfTest(const selftest_arguments& arguments) {
  hil_record from{};
  if (product->test == nullptr ||
      !product->test(product->context, static_cast<uint8_t>(arguments.selftest_arguments_test),
                     arguments.selftest_arguments_amount, arguments.selftest_arguments_deadline, &from)) {
    AnswerError(ErrorCode::kNoSuchTest, 0);
    return;
  }
  the_reply.reply_result_choice = reply::reply_result_selftest_result_m_c;
  ToWire(from, &the_reply.reply_result_selftest_result_m.selftest_result_selftest);
}

void AnswerScores(const scores_arguments& arguments) {
  hil_decision from{};
  uint32_t wanted = 0;
  if (!product->decide(product->context, arguments.scores_arguments_fresh, Aligned(arguments.scores_arguments_output),
                       &from, &wanted)) {
    AnswerError(ErrorCode::kScores, wanted);
    return;
  }
  the_reply.reply_result_choice = reply::reply_result_scores_result_m_c;
  the_reply.reply_result_scores_result_m.scores_result_scores = ToWire(from);
}

void AnswerTensor(const tensor_command& command) {
  hil_tensor tensor{};
  if (product->tensor == nullptr || !product->tensor(product->context, command.tensor_command_tensor_output,
                                                     command.tensor_command_tensor_index, &tensor)) {
    AnswerError(ErrorCode::kNoTensor, 0);
    return;
  }
  the_reply.reply_result_choice = reply::reply_result_tensor_result_m_c;
  the_reply.reply_result_tensor_result_m.tensor_result_tensor = ToWire(tensor);
}

void AnswerFetch(const fetch_arguments& arguments) {
  hil_bytes tensor{};
  const bool there = product->fetch(product->context, arguments.fetch_arguments_item, &tensor);
  const uint32_t offset = arguments.fetch_arguments_offset;
  const uint32_t count = arguments.fetch_arguments_count;
  if (!there || offset > tensor.size || count > tensor.size - offset) {
    AnswerError(ErrorCode::kItem, tensor.size);
    return;
  }
  if (count > kReplyBytes - kFetchOverhead) {
    AnswerError(ErrorCode::kTooLong, kReplyBytes - kFetchOverhead);
    return;
  }
  the_reply.reply_result_choice = reply::reply_result_fetch_result_m_c;
  the_reply.reply_result_fetch_result_m.fetch_result_fetch = ToWire(hil_bytes{tensor.data + offset, count});
}

void Answer() {
  switch (the_request.request_command_choice) {
    case request::request_command_hello_command_m_c:
      return AnswerHello(the_request.request_command_hello_command_m);
    case request::request_command_run_command_m_c:
      return AnswerRun(the_request.request_command_run_command_m.run_command_run);
    case request::request_command_scores_command_m_c:
      return AnswerScores(the_request.request_command_scores_command_m.scores_command_scores);
    case request::request_command_fetch_command_m_c:
      return AnswerFetch(the_request.request_command_fetch_command_m.fetch_command_fetch);
    case request::request_command_profile_command_m_c:
      return AnswerProfile(the_request.request_command_profile_command_m.profile_command_profile);
    case request::request_command_operators_command_m_c:
      return AnswerOperators(the_request.request_command_operators_command_m.operators_command_operators);
    case request::request_command_plain_command_m_c:
      return AnswerPlain(the_request.request_command_plain_command_m.plain_command_plain);
    case request::request_command_selftest_command_m_c:
      return AnswerSelfTest(the_request.request_command_selftest_command_m.selftest_command_selftest);
    case request::request_command_tensor_command_m_c:
      return AnswerTensor(the_request.request_command_tensor_command_m);
  }
}

void Send() {
  hil_framing_send(
      &framing, [](void*, uint32_t polls) { port::Idle(polls); }, nullptr);
}

void SendReply() {
  const Span<uint8_t> buffer(hil_framing_message(&framing), kReplyBytes);
  size_t size = 0;
  if (cbor_encode_reply(buffer.data(), buffer.size(), &the_reply, &size) != ZCBOR_SUCCESS) {
    AnswerError(ErrorCode::kTooLong, kReplyBytes);
    cbor_encode_reply(buffer.data(), buffer.size(), &the_reply, &size);
  }
  hil_framing_encode(&framing, size);
  Send();
}

// The id of a message that is not in the schema, where it has one.
uint32_t IdOf(Bytes message) {
  uint32_t id = 0;
  ZCBOR_STATE_D(state, 1, message.data(), message.size(), 1, 0);
  if (!zcbor_list_start_decode(state) || !zcbor_uint32_decode(state, &id)) {
    return 0;
  }
  return id;
}

void Handle(const hil_message& received) {
  size_t used = 0;
  const Bytes message(received.data, received.size);
  const bool decoded = cbor_decode_request(message.data(), message.size(), &the_request, &used) == ZCBOR_SUCCESS &&
                       used == message.size();
  const uint32_t id = decoded ? the_request.request_id : IdOf(message);
  const bool hello = decoded && the_request.request_command_choice == request::request_command_hello_command_m_c;
  if (last.answered && last.id == id && last.crc == received.crc && !hello) {
    Send();
    return;
  }
  hil_last_request = id;
  progress.request = id;
  progress.activity = Activity::kAgent;
  the_reply.reply_id = id;
  the_reply.reply_boot = hil_boot_count;
  if (decoded) {
    Answer();
  } else {
    AnswerError(ErrorCode::kNotInSchema, 0);
  }
  SendReply();
  last = {true, id, received.crc};
  progress.request = 0;
  progress.activity = Activity::kIdle;
}

}  // namespace
}  // namespace hil

extern "C" void hil_agent_start(const hil_product* tested) {
  hil::product = tested;
  hil::last = {};
  hil_boot_count = hil_boot_count + 1;
  hil::progress.activity = hil::Activity::kIdle;
  hil_framing_start(&hil::framing, hil::OpenLink(), hil::in, sizeof(hil::in), hil::out, hil::kReplyBytes);
}

extern "C" bool hil_agent_poll(void) {
  hil_message received{};
  if (!hil_framing_receive(&hil::framing, &received)) {
    return false;
  }
  hil::Handle(received);
  return true;
}

extern "C" uint32_t hil_agent_window_bytes(void) { return hil::kWindowBytes; }
