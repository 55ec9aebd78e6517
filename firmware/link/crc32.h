// CRC-32 as in zlib and Ethernet: polynomial 0x04C11DB7, reflected, initial value and final XOR of all ones.
#pragma once

#include <cstdint>

#include "base/span.h"

namespace hil {

uint32_t Crc32(Bytes data);

}  // namespace hil
