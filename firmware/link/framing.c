#include "link/framing.h"

#include <string.h>

#include "link/crc32.h"

static uint32_t load_little_endian(const uint8_t* at) {
  return (uint32_t)at[0] | ((uint32_t)at[1] << 8) | ((uint32_t)at[2] << 16) | ((uint32_t)at[3] << 24);
}

static void store_little_endian(uint32_t value, uint8_t* at) {
  for (unsigned i = 0; i < 4u; ++i) {
    at[i] = (uint8_t)(value >> (8u * i));
  }
}

void hil_framing_start(hil_framing* framing, const hil_port* port, uint8_t* in, size_t in_bytes, uint8_t* out,
                       size_t message_bytes) {
  memset(framing, 0, sizeof(*framing));
  framing->port = port;
  framing->in = in;
  framing->in_bytes = in_bytes;
  framing->out = out;
  framing->message_bytes = message_bytes;
}

/* The frame of `size` bytes that ends at a zero: to the start of `in`, decoded. */
static bool finish(hil_framing* framing, const uint8_t* frame, size_t size, hil_message* message) {
  const bool overlong = framing->overlong;
  framing->overlong = false;
  if (size == 0u && !overlong) {
    return false;
  }
  if (overlong || !hil_cobs_decode(frame, &size, framing->in) || size <= HIL_CRC_BYTES) {
    ++framing->dropped;
    return false;
  }
  message->data = framing->in;
  message->size = size - HIL_CRC_BYTES;
  message->crc = load_little_endian(framing->in + message->size);
  if (hil_crc32(message->data, message->size) != message->crc) {
    ++framing->dropped;
    return false;
  }
  return true;
}

/* The next whole frame of what is there already. */
static bool take(hil_framing* framing, hil_message* message) {
  while (framing->scanned < framing->have) {
    uint8_t* const from = framing->in + framing->scanned;
    const uint8_t* const zero = memchr(from, 0, framing->have - framing->scanned);
    if (zero == NULL) {
      framing->scanned = framing->have;
      return false;
    }
    const uint8_t* const frame = framing->in + framing->begin;
    framing->scanned = (size_t)(zero - framing->in) + 1u;
    framing->begin = framing->scanned;
    if (finish(framing, frame, (size_t)(zero - frame), message)) {
      return true;
    }
  }
  return false;
}

/* Moves what is not done with to the front, so that there is room behind it. */
static void make_room(hil_framing* framing) {
  const size_t rest = framing->have - framing->begin;
  if (rest == framing->in_bytes) { /* no frame is that long: forget it up to the next zero */
    framing->overlong = true;
    framing->have = 0;
  } else {
    if (framing->begin != 0u && rest != 0u) {
      memmove(framing->in, framing->in + framing->begin, rest);
    }
    framing->have = rest;
  }
  framing->begin = 0;
  framing->scanned = framing->have;
}

bool hil_framing_receive(hil_framing* framing, hil_message* message) {
  const hil_port* const port = framing->port;
  size_t count;
  do {
    if (take(framing, message)) {
      return true;
    }
    make_room(framing);
    const size_t room = framing->in_bytes - framing->have;
    count = port->read(port->context, framing->in + framing->have, room);
    framing->have += count < room ? count : room;
  } while (count != 0u);
  return false;
}

uint8_t* hil_framing_message(const hil_framing* framing) {
  return framing->out + 1u + HIL_COBS_OVERHEAD(framing->message_bytes + HIL_CRC_BYTES);
}

void hil_framing_encode(hil_framing* framing, size_t size) {
  uint8_t* const message = hil_framing_message(framing);
  store_little_endian(hil_crc32(message, size), message + size);
  framing->out[0] = 0; /* ends what a log may have written before it */
  framing->encoded = 1u + hil_cobs_encode(message, size + HIL_CRC_BYTES, framing->out + 1);
  framing->out[framing->encoded++] = 0;
}

/* Whether to go on waiting, `polls` looks after bytes went. */
static bool wait(const hil_port* port, uint32_t polls, uint32_t* since) {
  if (port->ready != NULL && !port->ready(port->context)) {
    return false;
  }
  if (port->time == NULL) {
    return true;
  }
  const uint32_t now = port->time(port->context);
  if (polls == 0u) {
    *since = now;
  }
  return now - *since < HIL_LINK_STALL_MS;
}

bool hil_framing_send(const hil_framing* framing, void (*idle)(void* context, uint32_t polls), void* context) {
  const hil_port* const port = framing->port;
  size_t sent = 0;
  uint32_t polls = 0;
  uint32_t since = 0;
  while (sent < framing->encoded) {
    const size_t left = framing->encoded - sent;
    const size_t count = port->write(port->context, framing->out + sent, left);
    if (count != 0u) {
      sent += count < left ? count : left;
      polls = 0;
    } else if (!wait(port, polls, &since)) {
      return false;
    } else {
      if (idle != NULL) {
        idle(context, polls);
      }
      ++polls;
    }
  }
  return true;
}
