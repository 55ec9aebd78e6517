// Serves the harness: the agent on this firmware's link.
#pragma once

#include "agent/hil_agent.h"

namespace hil {

// Counts this start of the firmware and opens the link. `product` must stay valid.
void StartService(const hil_product* product);

// Answers at most one request. True when one came.
bool Serve();

}  // namespace hil
