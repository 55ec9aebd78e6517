#include "base/log.h"

#include <cstring>

#include "port/port.h"

namespace hil {

void Log(const char* text) { port::LogWrite(text, std::strlen(text)); }

void LogDecimal(uint32_t value) {
  char digits[10];
  size_t used = 0;
  do {
    digits[sizeof(digits) - ++used] = static_cast<char>('0' + value % 10);
    value /= 10;
  } while (value != 0);
  port::LogWrite(digits + sizeof(digits) - used, used);
}

void LogHex(uint32_t value) {
  char digits[10] = {'0', 'x'};
  for (int i = 0; i < 8; ++i) {
    digits[2 + i] = "0123456789abcdef"[(value >> (28 - 4 * i)) & 15];
  }
  port::LogWrite(digits, sizeof(digits));
}

void LogLine(const char* label, uint32_t value) {
  Log(label);
  Log(" ");
  LogDecimal(value);
  Log("\n");
}

}  // namespace hil
