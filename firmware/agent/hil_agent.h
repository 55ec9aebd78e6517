/* The test agent: answers the harness over the link by calling the product (docs/agent.md, docs/link.md).
 *
 * Any firmware can add it: fill in a hil_product and a hil_port, call hil_agent_start() once and hil_agent_poll() from
 * the main loop. It holds no stage of the product: what it tests is what the functions below run. C99, no heap, and
 * nothing static: all memory of an agent is its hil_agent.
 */
#ifndef HIL_AGENT_H
#define HIL_AGENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "link/framing.h"
#include "link/hil_port.h"

#ifdef __cplusplus
extern "C" {
#endif

#define HIL_PROTOCOL 2u

/* ---- sizes: define other ones for the library and for whoever includes this ------------------------------------ */

/* Longest frame taken, its final zero included; `hello` tells the host. */
#ifndef HIL_AGENT_REQUEST_BYTES
#define HIL_AGENT_REQUEST_BYTES 2048u
#endif

/* Longest reply. A hello takes about 450 bytes beside its texts and labels. */
#ifndef HIL_AGENT_REPLY_BYTES
#define HIL_AGENT_REPLY_BYTES 1024u
#endif

/* Longest window that a request can carry: beside it lie the rest of its CBOR, CRC, stuffing and the final zero. */
#define HIL_AGENT_WINDOW_BYTES \
  (HIL_AGENT_REQUEST_BYTES - HIL_COBS_OVERHEAD(HIL_AGENT_REQUEST_BYTES) - 1u - HIL_CRC_BYTES - 64u)

/* Windows and scores are handed over at a multiple of this address. */
#define HIL_AGENT_ALIGNMENT 16u

/* What a message of link.cddl can carry. What is beyond is left out. */
#define HIL_MAX_RANK 6
#define HIL_MAX_LABELS 64
#define HIL_MAX_OPERATORS 128
#define HIL_MAX_FURTHER_INPUTS 3
#define HIL_MAX_FURTHER_OUTPUTS 12

/* ---- what is said of a product --------------------------------------------------------------------------------- */

typedef struct {
  const uint8_t* data;
  uint32_t size;
} hil_bytes;

/* Not terminated by a zero. */
typedef struct {
  const char* data;
  uint32_t size;
} hil_text;

typedef struct {
  uint8_t type; /* TensorType of the TFLite schema */
  uint32_t rank;
  uint32_t shape[HIL_MAX_RANK];
  float scale;
  int32_t zero_point;
  uint32_t bytes;
} hil_tensor;

/* What the firmware can (`can` of hello-facts). The agent knows all but BUNDLE and MARKS from the product's functions.
 */
enum {
  HIL_CAN_DECIDE = 1,
  HIL_CAN_FETCH = 2,
  HIL_CAN_TENSOR = 4,
  HIL_CAN_PROFILE = 8,
  HIL_CAN_PLAIN = 16,
  HIL_CAN_TEST = 32,
  HIL_CAN_BUNDLE = 64, /* reads a bundle: model, labels and thresholds are not compiled in */
  HIL_CAN_MARKS = 128, /* canaries, and the marks of arena and stack, are real */
  HIL_CAN_HEAP = 256,  /* by heap() */
  HIL_CAN_MODEL = 512  /* by model() */
};

/* What the firmware says of itself; fields as in hello-facts of link.cddl. Texts may be null. All pointers stay valid.
 */
typedef struct {
  const char* firmware;
  const char* target;
  const char* compiler;
  const char* flags;
  const char* kernels;
  uint32_t can; /* HIL_CAN_BUNDLE, HIL_CAN_MARKS */
  hil_bytes operators;
  const char* clock;
  uint32_t clock_hz;
  uint32_t arena_bytes;
  uint32_t stack_bytes;
  uint16_t bundle_status;
  uint32_t bundle_detail;
  uint8_t bundle_hash[32];
  uint8_t model_hash[32];
  hil_text case_name;
  uint32_t case_version;
  uint32_t label_count;
  const hil_text* labels;
  hil_tensor input;
  hil_tensor output;
  uint32_t arena_used;
  uint32_t arena_high_water;
} hil_facts;

typedef struct {
  uint32_t capture;  /* capture number */
  bool fresh;        /* a stream begins: forget the decision state and what the model keeps */
  uint32_t deadline; /* ticks of the clock until the watchdog is to fire; 0: the longest that it can do */
  hil_bytes bytes;
} hil_window;

typedef struct {
  int32_t winner; /* comes as -1: no decide stage, or a window that was refused */
  int32_t score;
  int32_t answer; /* comes as -1: unknown */
  uint8_t reason;
  hil_text label;
} hil_decision;

/* What prepare made of one further input. */
typedef struct {
  uint32_t digest;
  int32_t minimum;
  int32_t maximum;
  uint32_t saturated;
} hil_prepared;

#define HIL_NOT_TOLD UINT32_MAX

/* What the heap came to, in bytes; HIL_NOT_TOLD where the allocator does not know. */
typedef struct {
  uint32_t used;   /* now */
  uint32_t peak;   /* most since the start */
  uint32_t size;   /* that there are */
  uint32_t failed; /* allocations that got nothing, since the start: a count */
} hil_heap;

/* Fields as in record of link.cddl. */
typedef struct {
  uint8_t status;
  uint8_t gate;
  uint32_t ticks[3]; /* at the end of prepare, invoke, decide */
  uint32_t digest;
  int32_t minimum;
  int32_t maximum;
  uint32_t saturated;
  hil_bytes output; /* valid until the next window, as all that is pointed to */
  hil_decision decision;
  uint8_t canaries;
  uint32_t arena_high_water;
  uint32_t stack_high_water;
  uint8_t tells;        /* HIL_TELLS_*: which of the fields below are filled in */
  uint32_t received;    /* CRC-32 of the window as the product gets it */
  uint32_t gate_ticks;  /* at the end of the gate */
  uint32_t core[4];     /* PRIMASK, BASEPRI, FAULTMASK, CFSR after the window */
  uint32_t input_count; /* of a model with several: the inputs from the second on */
  const hil_prepared* inputs;
  uint32_t output_count; /* and the outputs beside `output` */
  const hil_bytes* outputs;
  hil_heap heap; /* filled in by the agent, of a product with heap() */
} hil_record;

enum { HIL_TELLS_RECEIVED = 1, HIL_TELLS_GATE = 2, HIL_TELLS_CORE = 4, HIL_TELLS_HEAP = 8 };

/* One operator of the model: builtin operator code, and the clock (ticks since the start of invoke) around it. */
typedef struct {
  uint8_t code;
  uint32_t begin;
  uint32_t end;
} hil_operator_time;

enum { HIL_PREPARED_TENSOR = 0, HIL_RAW_OUTPUT = 1, HIL_MODEL = 2 };

/* Self-tests, as in selftest-arguments of link.cddl. */
enum {
  HIL_TEST_SPIN = 0,
  HIL_TEST_SLEEP = 1,
  HIL_TEST_MASKS = 2,
  HIL_TEST_STACK_GUARD = 3,
  HIL_TEST_NULL_READ = 4,
  HIL_TEST_NULL_WRITE = 5,
  HIL_TEST_NULL_EXECUTE = 6
};

/* ---- the product ----------------------------------------------------------------------------------------------- */

/* What the agent tests. Every function gets `context`. Structures to fill in come zeroed, decisions but for winner and
 * answer. describe() and run() must be there; each of the others may be null, and what needs it is then not judged.
 */
typedef struct {
  void* context;

  void (*describe)(void* context, hil_facts* facts);

  /* One window through the whole product. */
  void (*run)(void* context, const hil_window* window, hil_record* record);

  /* Raw scores straight to the decide stage. False when `scores` has the wrong size; then `*wanted` is the right one.
   */
  bool (*decide)(void* context, bool fresh, hil_bytes scores, hil_decision* decision, uint32_t* wanted);

  /* A tensor of the last run (HIL_PREPARED_TENSOR, HIL_RAW_OUTPUT); false when there is none. Of several inputs all
   * prepared tensors, one behind the other.
   */
  bool (*fetch)(void* context, uint32_t item, hil_bytes* tensor);

  /* What the model's input, or output, of this index looks like; false when there is none. For models with several. */
  bool (*tensor)(void* context, bool output, uint32_t index, hil_tensor* tensor);

  /* As run(), with the time of each operator. `*ran`: operators that ran; `*kept`: the first of them that can be asked
   * for until the next profile. Comes with operator_time().
   */
  void (*profile)(void* context, const hil_window* window, hil_record* record, uint32_t* ran, uint32_t* kept);

  /* Operator `index` of the last profile; false when it was not kept. */
  bool (*operator_time)(void* context, uint32_t index, hil_operator_time* time);

  /* One window as the product itself takes it: without observer, deadline or mask. Returns the ticks around the whole.
   */
  uint32_t (*plain)(void* context, const hil_window* window, hil_record* record);

  /* Shows an instrument what it must detect: `amount` of it, on the way and under the deadline of a window. False for a
   * test that is not known.
   */
  bool (*test)(void* context, uint8_t test, uint32_t amount, uint32_t deadline, hil_record* record);

  /* What the heap came to; asked behind each window, outside of its clock. False when it cannot be told now. */
  bool (*heap)(void* context, hil_heap* heap);

  /* `count` bytes of the model's file that the engine runs, from `offset` on. False when there are not so many;
   * `piece->size` is then how many there are in all. What `piece` points to must stay valid until the next call.
   */
  bool (*model)(void* context, uint32_t offset, uint32_t count, hil_bytes* piece);
} hil_product;

/* What the agent tells the firmware, and where it waits. Each may be null. */
typedef struct {
  void* context;

  /* How often the firmware has started: in RAM that a reset leaves alone. When it is null or never changes, a restart
   * in the middle of a session is not seen.
   */
  const volatile uint32_t* boot;

  /* A request is taken up, and is answered: for a fault record, and for hil_last_request (docs/link.md). */
  void (*begin)(void* context, uint32_t request);
  void (*end)(void* context);

  /* Called again and again while a reply does not go out; `polls` counts the calls. */
  void (*idle)(void* context, uint32_t polls);
} hil_agent_hooks;

/* ---- the agent ------------------------------------------------------------------------------------------------- */

typedef struct {
  const hil_product* product;
  const hil_agent_hooks* hooks;
  hil_framing framing;
  bool answered;
  uint32_t last_id; /* and CRC: of the request that was answered last */
  uint32_t last_crc;
  union { /* what the product says now: big for a stack */
    hil_facts facts;
    hil_record record;
  } said;
  uint8_t request[HIL_AGENT_REQUEST_BYTES + HIL_AGENT_ALIGNMENT - 1u];
  uint8_t reply[HIL_FRAMING_OUT_BYTES(HIL_AGENT_REPLY_BYTES)];
} hil_agent;

/* Sets an agent up. All that is pointed to must stay valid; `hooks` may be null. False when a function that must be
 * there is missing, or the library was compiled with other sizes than the caller.
 */
#define hil_agent_start(agent, product, port, hooks) \
  hil_agent_start_sized((agent), sizeof(hil_agent), (product), (port), (hooks))

bool hil_agent_start_sized(hil_agent* agent, size_t agent_bytes, const hil_product* product, const hil_port* port,
                           const hil_agent_hooks* hooks);

/* Answers at most one request. True when one came; otherwise the caller may idle. */
bool hil_agent_poll(hil_agent* agent);

#ifdef __cplusplus
}
#endif

#endif /* HIL_AGENT_H */
