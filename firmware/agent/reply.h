/* Writes what replies carry, as link.cddl has it. Each function is false when the reply is full. And knows one. */
#ifndef HIL_REPLY_H
#define HIL_REPLY_H

#include "agent/hil_agent.h"
#include "zcbor_encode.h"

bool hil_put_facts(zcbor_state_t* out, const hil_facts* facts, uint32_t can);
bool hil_put_record(zcbor_state_t* out, const hil_record* record);
bool hil_put_decision(zcbor_state_t* out, const hil_decision* decision);
bool hil_put_tensor(zcbor_state_t* out, const hil_tensor* tensor);
bool hil_put_bytes(zcbor_state_t* out, hil_bytes bytes);

/* A key of a map. */
bool hil_put_key(zcbor_state_t* out, const char* key);

/* Containers have no length up front. */
bool hil_begin_list(zcbor_state_t* out);
bool hil_end_list(zcbor_state_t* out);
bool hil_begin_map(zcbor_state_t* out);
bool hil_end_map(zcbor_state_t* out);

/* Whether a message is a reply, ours or that of another device: a line that both ends hear brings them back. id: of a
 * message of any kind, 0 where it has none.
 */
bool hil_is_reply(const hil_message* message, uint32_t* id);

#endif /* HIL_REPLY_H */
