#include "app/host_link.h"

#include "link/rtt.h"
#include "port/port.h"

#define HIL_SHARED __attribute__((section(".hil_shared"), used, aligned(8)))

extern "C" {
HIL_SHARED hil_rtt_block _SEGGER_RTT;
HIL_SHARED uint8_t hil_rtt_up[HIL_RTT_UP_BYTES];
HIL_SHARED uint8_t hil_rtt_down[HIL_RTT_DOWN_BYTES];
}

namespace hil {
namespace {

hil_rtt rings = {&_SEGGER_RTT, hil_rtt_up, sizeof(hil_rtt_up), hil_rtt_down, sizeof(hil_rtt_down)};
constexpr hil_port kRings = {&rings, hil_rtt_read, hil_rtt_write, nullptr, nullptr};

}  // namespace

const hil_port* OpenLink() {
  if (const hil_port* const stream = port::Stream(); stream != nullptr) {
    return stream;
  }
  hil_rtt_start(&rings);
  return &kRings;
}

}  // namespace hil
