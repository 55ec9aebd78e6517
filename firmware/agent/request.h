/* Reads requests, as link.cddl has them. */
#ifndef HIL_REQUEST_READER_H
#define HIL_REQUEST_READER_H

#include "hil_request.h"
#include "link/framing.h"

typedef enum {
  HIL_IS_REQUEST, /* `request` is filled in */
  HIL_NO_REQUEST, /* not in the schema */
  HIL_IS_REPLY    /* ours, or that of another device: a line that both ends hear brings them back */
} hil_kind;

/* id: of a message of any kind, 0 where it has none. */
hil_kind hil_read_request(const hil_message* message, struct request* request, uint32_t* id);

#endif /* HIL_REQUEST_READER_H */
