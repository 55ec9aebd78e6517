#include "testmode/service.h"

#include <cstdlib>

#include "app/host_link.h"
#include "fault/fault_record.h"
#include "port/port.h"

extern "C" {
// Raised at every start; in RAM that a reset leaves alone, so that the host sees a restart.
__attribute__((section(".hil_shared"), used, aligned(8))) volatile uint32_t hil_boot_count;

// Id of the last request taken up; a restart leaves it alone, so that the host sees whether it came in that request.
__attribute__((section(".hil_shared"), used, aligned(8))) volatile uint32_t hil_last_request;
}

namespace hil {
namespace {

static_assert(HIL_AGENT_REQUEST_BYTES < HIL_RTT_DOWN_BYTES, "the host may write a frame in one go");
static_assert(HIL_FRAMING_OUT_BYTES(HIL_AGENT_REPLY_BYTES) < HIL_RTT_UP_BYTES, "a reply must fit");

hil_agent agent;

void Begin(void*, uint32_t request) {
  hil_last_request = request;
  progress.request = request;
  progress.activity = Activity::kAgent;
}

void End(void*) {
  progress.request = 0;
  progress.activity = Activity::kIdle;
}

constexpr hil_agent_hooks kHooks = {nullptr, &hil_boot_count, Begin, End,
                                    [](void*, uint32_t polls) { port::Idle(polls); }};

}  // namespace

void StartService(const hil_product* product) {
  hil_boot_count = hil_boot_count + 1;
  progress.activity = Activity::kIdle;
  if (!hil_agent_start(&agent, product, OpenLink(), &kHooks)) {
    std::abort();
  }
}

bool Serve() { return hil_agent_poll(&agent); }

}  // namespace hil
