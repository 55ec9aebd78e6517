// The link of this firmware: rings in RAM that the host reads, or the port's stream of bytes.
#pragma once

#include "link/hil_port.h"

namespace hil {

// Opens it. The rings become visible to the host, which tells it that the firmware is up.
const hil_port* OpenLink();

}  // namespace hil
