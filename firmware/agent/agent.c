#include <string.h>

#include "agent/hil_agent.h"
#include "agent/reply.h"
#include "hil_request.h"

/* Operators in one reply, as in link.cddl. */
#define OPERATORS_A_PAGE 32u

#define NO_LABEL (-1)

/* What a reply needs beside the bytes that a fetch carries. */
#define FETCH_OVERHEAD 64u

/* Agent status (docs/link.md), and the number that belongs to it. */
enum {
  ANSWERED = 0,
  NOT_IN_SCHEMA = 1,
  OTHER_PROTOCOL = 2, /* the one spoken */
  NO_SUCH_ITEM = 3,   /* bytes that there are */
  TOO_LONG = 4,       /* longest that fits */
  WRONG_SCORES = 5,   /* bytes wanted */
  NO_PROFILE = 6,
  NO_SUCH_TEST = 7, /* also of a product without a plain way */
  NO_SUCH_TENSOR = 8,
  CANNOT = 9 /* the product has no such function */
};
typedef struct {
  uint32_t code;
  uint32_t detail;
} outcome;

static outcome refused(uint32_t code, uint32_t detail) {
  const outcome result = {code, detail};
  return result;
}

static outcome written(bool fits) { return fits ? refused(ANSWERED, 0) : refused(TOO_LONG, HIL_AGENT_REPLY_BYTES); }

/* Moves a window to an aligned address, as a sensor's buffer would be, and scores to one like that of the output
 * tensor. Where they stand in the message depends on the length of the numbers before them, and a copy's cost on where
 * it stands. The buffer of the request is aligned: that is still inside it.
 */
static hil_bytes aligned(const hil_agent* agent, const struct zcbor_string* window) {
  uint8_t* const in = agent->framing.in;
  const size_t at = (size_t)(window->value - in);
  uint8_t* const to = in + (at - at % HIL_AGENT_ALIGNMENT);
  const hil_bytes moved = {to, (uint32_t)window->len};
  memmove(to, window->value, window->len);
  return moved;
}

static hil_window window_of(const hil_agent* agent, const struct run_arguments* arguments) {
  const hil_window window = {arguments->run_arguments_sequence, arguments->run_arguments_fresh,
                             arguments->run_arguments_deadline, aligned(agent, &arguments->run_arguments_window)};
  return window;
}

static uint32_t can(const hil_product* product, const hil_facts* facts) {
  uint32_t all = facts->can & ((uint32_t)HIL_CAN_BUNDLE | (uint32_t)HIL_CAN_MARKS);
  all |= product->decide != NULL ? (uint32_t)HIL_CAN_DECIDE : 0u;
  all |= product->fetch != NULL ? (uint32_t)HIL_CAN_FETCH : 0u;
  all |= product->tensor != NULL ? (uint32_t)HIL_CAN_TENSOR : 0u;
  all |= product->profile != NULL && product->operator_time != NULL ? (uint32_t)HIL_CAN_PROFILE : 0u;
  all |= product->plain != NULL ? (uint32_t)HIL_CAN_PLAIN : 0u;
  all |= product->test != NULL ? (uint32_t)HIL_CAN_TEST : 0u;
  all |= product->heap != NULL ? (uint32_t)HIL_CAN_HEAP : 0u;
  all |= product->model != NULL ? (uint32_t)HIL_CAN_MODEL : 0u;
  return all;
}

static outcome answer_hello(hil_agent* agent, uint32_t protocol, zcbor_state_t* out) {
  const hil_product* const product = agent->product;
  hil_facts* const facts = &agent->said.facts;
  if (protocol != HIL_PROTOCOL) {
    return refused(OTHER_PROTOCOL, HIL_PROTOCOL);
  }
  memset(facts, 0, sizeof(*facts));
  product->describe(product->context, facts);
  return written(hil_put_key(out, "hello") && hil_put_facts(out, facts, can(product, facts)));
}

static hil_decision no_decision(void) {
  const hil_decision none = {NO_LABEL, 0, NO_LABEL, 0, {NULL, 0}};
  return none;
}

static hil_record* empty_record(hil_agent* agent) {
  hil_record* const record = &agent->said.record;
  memset(record, 0, sizeof(*record));
  record->decision = no_decision();
  return record;
}

static outcome answer_run(hil_agent* agent, const struct run_arguments* arguments, zcbor_state_t* out) {
  const hil_product* const product = agent->product;
  const hil_window window = window_of(agent, arguments);
  hil_record* const record = empty_record(agent);
  product->run(product->context, &window, record);
  if (product->heap != NULL && product->heap(product->context, &record->heap)) {
    record->tells |= (uint8_t)HIL_TELLS_HEAP;
  }
  return written(hil_put_key(out, "run") && hil_put_record(out, record));
}

static outcome answer_profile(hil_agent* agent, const struct run_arguments* arguments, zcbor_state_t* out) {
  const hil_product* const product = agent->product;
  hil_record* const record = empty_record(agent);
  uint32_t ran = 0;
  uint32_t kept = 0;
  if (product->profile == NULL || product->operator_time == NULL) {
    return refused(NO_PROFILE, 0);
  }
  const hil_window window = window_of(agent, arguments);
  product->profile(product->context, &window, record, &ran, &kept);
  return written(hil_put_key(out, "profile") && hil_begin_list(out) && hil_put_record(out, record) &&
                 zcbor_uint32_put(out, ran) && zcbor_uint32_put(out, kept) && hil_end_list(out));
}

static bool put_operator(zcbor_state_t* out, const hil_operator_time* time) {
  return hil_begin_list(out) && zcbor_uint32_put(out, time->code) && zcbor_uint32_put(out, time->begin) &&
         zcbor_uint32_put(out, time->end) && hil_end_list(out);
}

/* A page of the last profile, from operator `first` on. */
static outcome answer_operators(hil_agent* agent, uint32_t first, zcbor_state_t* out) {
  const hil_product* const product = agent->product;
  hil_operator_time time;
  if (product->profile == NULL || product->operator_time == NULL) {
    return refused(NO_PROFILE, 0);
  }
  bool fits = hil_put_key(out, "operators") && hil_begin_list(out);
  memset(&time, 0, sizeof(time));
  for (uint32_t i = 0; fits && i < OPERATORS_A_PAGE; ++i) {
    if (!product->operator_time(product->context, first + i, &time)) {
      break;
    }
    fits = put_operator(out, &time);
  }
  return written(fits && hil_end_list(out));
}

static outcome answer_plain(hil_agent* agent, const struct plain_arguments* arguments, zcbor_state_t* out) {
  const hil_product* const product = agent->product;
  hil_record* const record = empty_record(agent);
  if (product->plain == NULL) {
    return refused(NO_SUCH_TEST, 0);
  }
  const hil_window window = {arguments->plain_arguments_sequence, arguments->plain_arguments_fresh, 0,
                             aligned(agent, &arguments->plain_arguments_window)};
  const uint32_t ticks = product->plain(product->context, &window, record);
  return written(hil_put_key(out, "plain") && hil_begin_list(out) && hil_put_record(out, record) &&
                 zcbor_uint32_put(out, ticks) && hil_end_list(out));
}

static outcome answer_selftest(hil_agent* agent, const struct selftest_arguments* arguments, zcbor_state_t* out) {
  const hil_product* const product = agent->product;
  hil_record* const record = empty_record(agent);
  if (product->test == NULL ||
      !product->test(product->context, (uint8_t)arguments->selftest_arguments_test,
                     arguments->selftest_arguments_amount, arguments->selftest_arguments_deadline, record)) {
    return refused(NO_SUCH_TEST, 0);
  }
  return written(hil_put_key(out, "selftest") && hil_put_record(out, record));
}

static outcome answer_scores(hil_agent* agent, const struct scores_arguments* arguments, zcbor_state_t* out) {
  const hil_product* const product = agent->product;
  hil_decision decision = no_decision();
  uint32_t wanted = 0;
  if (product->decide == NULL) {
    return refused(CANNOT, 0);
  }
  if (!product->decide(product->context, arguments->scores_arguments_fresh,
                       aligned(agent, &arguments->scores_arguments_output), &decision, &wanted)) {
    return refused(WRONG_SCORES, wanted);
  }
  return written(hil_put_key(out, "scores") && hil_put_decision(out, &decision));
}

static outcome answer_tensor(hil_agent* agent, const struct tensor_command* command, zcbor_state_t* out) {
  const hil_product* const product = agent->product;
  hil_tensor tensor;
  memset(&tensor, 0, sizeof(tensor));
  if (product->tensor == NULL || !product->tensor(product->context, command->tensor_command_tensor_output,
                                                  command->tensor_command_tensor_index, &tensor)) {
    return refused(NO_SUCH_TENSOR, 0);
  }
  return written(hil_put_key(out, "tensor") && hil_put_tensor(out, &tensor));
}

/* A piece of a tensor of the last run, or of the model. False: `piece->size` bytes are all that there are. */
static bool piece_of(const hil_product* product, const struct fetch_arguments* arguments, hil_bytes* piece) {
  const uint32_t offset = arguments->fetch_arguments_offset;
  const uint32_t count = arguments->fetch_arguments_count;
  if (arguments->fetch_arguments_item == (uint32_t)HIL_MODEL) {
    return product->model(product->context, offset, count, piece) && piece->size == count;
  }
  if (!product->fetch(product->context, arguments->fetch_arguments_item, piece) || offset > piece->size ||
      count > piece->size - offset) {
    return false;
  }
  piece->data += offset;
  piece->size = count;
  return true;
}

static outcome answer_fetch(hil_agent* agent, const struct fetch_arguments* arguments, zcbor_state_t* out) {
  const hil_product* const product = agent->product;
  hil_bytes piece = {NULL, 0};
  if (arguments->fetch_arguments_item == (uint32_t)HIL_MODEL ? product->model == NULL : product->fetch == NULL) {
    return refused(CANNOT, 0);
  }
  if (arguments->fetch_arguments_count > HIL_AGENT_REPLY_BYTES - FETCH_OVERHEAD) {
    return refused(TOO_LONG, HIL_AGENT_REPLY_BYTES - FETCH_OVERHEAD);
  }
  if (!piece_of(product, arguments, &piece)) {
    return refused(NO_SUCH_ITEM, piece.size);
  }
  return written(hil_put_key(out, "fetch") && hil_put_bytes(out, piece));
}

static outcome answer(hil_agent* agent, const struct request* request, zcbor_state_t* out) {
  switch (request->request_command_choice) {
    case request_command_hello_command_m_c:
      return answer_hello(agent, request->request_command_hello_command_m.hello_command_hello, out);
    case request_command_run_command_m_c:
      return answer_run(agent, &request->request_command_run_command_m.run_command_run, out);
    case request_command_scores_command_m_c:
      return answer_scores(agent, &request->request_command_scores_command_m.scores_command_scores, out);
    case request_command_fetch_command_m_c:
      return answer_fetch(agent, &request->request_command_fetch_command_m.fetch_command_fetch, out);
    case request_command_profile_command_m_c:
      return answer_profile(agent, &request->request_command_profile_command_m.profile_command_profile, out);
    case request_command_operators_command_m_c:
      return answer_operators(agent, request->request_command_operators_command_m.operators_command_operators, out);
    case request_command_plain_command_m_c:
      return answer_plain(agent, &request->request_command_plain_command_m.plain_command_plain, out);
    case request_command_selftest_command_m_c:
      return answer_selftest(agent, &request->request_command_selftest_command_m.selftest_command_selftest, out);
    case request_command_tensor_command_m_c:
      return answer_tensor(agent, &request->request_command_tensor_command_m, out);
    default:
      return refused(NOT_IN_SCHEMA, 0);
  }
}

static bool begin_reply(zcbor_state_t* out, const hil_agent* agent, uint32_t id) {
  const hil_agent_hooks* const hooks = agent->hooks;
  const uint32_t boot = hooks != NULL && hooks->boot != NULL ? *hooks->boot : 0u;
  return hil_begin_list(out) && zcbor_uint32_put(out, id) && zcbor_uint32_put(out, boot) && hil_begin_map(out);
}

static bool end_reply(zcbor_state_t* out) { return hil_end_map(out) && hil_end_list(out); }

/* request: null when it is not in the schema. Returns the length of the reply. */
static size_t write_reply(hil_agent* agent, uint32_t id, const struct request* request) {
  uint8_t* const message = hil_framing_message(&agent->framing);
  outcome result = refused(NOT_IN_SCHEMA, 0);
  ZCBOR_STATE_E(out, 0, message, HIL_AGENT_REPLY_BYTES, 1);
  if (request != NULL && begin_reply(out, agent, id)) {
    result = answer(agent, request, out);
    if (result.code == ANSWERED) {
      result = written(end_reply(out));
    }
  }
  if (result.code != ANSWERED) {
    zcbor_new_encode_state(out, ZCBOR_ARRAY_SIZE(out), message, HIL_AGENT_REPLY_BYTES, 1);
    (void)(begin_reply(out, agent, id) && hil_put_key(out, "error") && hil_begin_list(out) &&
           zcbor_uint32_put(out, result.code) && zcbor_uint32_put(out, result.detail) && hil_end_list(out) &&
           end_reply(out)); /* any buffer that can be made has room for it */
  }
  return (size_t)(out->payload - message);
}

static void send_reply(const hil_agent* agent) {
  const hil_agent_hooks* const hooks = agent->hooks;
  (void)hil_framing_send(&agent->framing, hooks != NULL ? hooks->idle : NULL, hooks != NULL ? hooks->context : NULL);
}

static void handle(hil_agent* agent, const hil_message* received) {
  const hil_agent_hooks* const hooks = agent->hooks;
  struct request request;
  size_t used = 0;
  uint32_t id;
  const bool known =
      cbor_decode_request(received->data, received->size, &request, &used) == ZCBOR_SUCCESS && used == received->size;
  if (known) {
    id = request.request_id;
  } else if (hil_is_reply(received, &id)) {
    ++agent->framing.dropped;
    return;
  }
  const bool hello = known && request.request_command_choice == request_command_hello_command_m_c;
  const bool repeated = agent->answered && agent->last_id == id && agent->last_crc == received->crc;
  if (repeated && !hello) {
    send_reply(agent);
    return;
  }
  if (hooks != NULL && hooks->begin != NULL) {
    hooks->begin(hooks->context, id);
  }
  agent->answered = true;
  agent->last_id = id;
  agent->last_crc = received->crc;
  hil_framing_encode(&agent->framing, write_reply(agent, id, known ? &request : NULL));
  send_reply(agent);
  if (hooks != NULL && hooks->end != NULL) {
    hooks->end(hooks->context);
  }
}

bool hil_agent_start_sized(hil_agent* agent, size_t agent_bytes, const hil_product* product, const hil_port* port,
                           const hil_agent_hooks* hooks) {
  if (agent == NULL || agent_bytes != sizeof(*agent) || product == NULL || product->describe == NULL ||
      product->run == NULL || port == NULL || port->read == NULL || port->write == NULL) {
    return false;
  }
  const size_t ahead = (size_t)(0u - (uintptr_t)agent->request) % HIL_AGENT_ALIGNMENT;
  agent->product = product;
  agent->hooks = hooks;
  agent->answered = false;
  hil_framing_start(&agent->framing, port, agent->request + ahead, HIL_AGENT_REQUEST_BYTES, agent->reply,
                    HIL_AGENT_REPLY_BYTES);
  return true;
}

bool hil_agent_poll(hil_agent* agent) {
  hil_message received;
  if (!hil_framing_receive(&agent->framing, &received)) {
    return false;
  }
  handle(agent, &received);
  return true;
}
