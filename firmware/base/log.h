// The firmware's log: short lines on the port's log channel, no formatting library.
#pragma once

#include <cstdint>

namespace hil {

void Log(const char* text);
void LogDecimal(uint32_t value);
void LogHex(uint32_t value);

// "label value\n", the value in decimal.
void LogLine(const char* label, uint32_t value);

}  // namespace hil
