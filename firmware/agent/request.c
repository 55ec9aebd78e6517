#include "agent/request.h"

#include "zcbor_decode.h"

/* A list in which a map is opened. */
#define DEPTH 2u

static hil_kind identify(const hil_message* message, uint32_t* id) {
  uint32_t boot;
  ZCBOR_STATE_D(in, DEPTH, message->data, message->size, 1, 0);
  *id = 0;
  if (!zcbor_list_start_decode(in) || !zcbor_uint32_decode(in, id)) {
    return HIL_NO_REQUEST;
  }
  return zcbor_uint32_decode(in, &boot) && zcbor_map_start_decode(in) ? HIL_IS_REPLY : HIL_NO_REQUEST;
}

hil_kind hil_read_request(const hil_message* message, struct request* request, uint32_t* id) {
  size_t used = 0;
  if (cbor_decode_request(message->data, message->size, request, &used) == ZCBOR_SUCCESS && used == message->size) {
    *id = request->request_id;
    return HIL_IS_REQUEST;
  }
  return identify(message, id);
}
