// The product as the test agent sees it.
#pragma once

#include "agent/hil_agent.h"

extern const hil_product product;
