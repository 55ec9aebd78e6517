// A line that a test holds the other end of.
#pragma once

#include <algorithm>
#include <cstring>
#include <string>

#include "link/hil_port.h"

namespace hil::test {

struct Line {
  std::string heard;   // what the firmware reads
  size_t read_at = 0;  // how far it is
  std::string said;    // what it wrote
  size_t takes = SIZE_MAX;
  bool ready = true;
  uint32_t now = 0;

  void Hear(const std::string& bytes) { heard += bytes; }
  std::string Said() {
    std::string all;
    all.swap(said);
    return all;
  }

  hil_port Port() {
    return {this, Read, Write, [](void* line) { return static_cast<Line*>(line)->ready; },
            [](void* line) { return static_cast<Line*>(line)->now++; }};
  }

 private:
  static size_t Read(void* context, uint8_t* data, size_t size) {
    Line* const line = static_cast<Line*>(context);
    const size_t count = std::min(size, line->heard.size() - line->read_at);
    std::memcpy(data, line->heard.data() + line->read_at, count);
    line->read_at += count;
    return count;
  }
  static size_t Write(void* context, const uint8_t* data, size_t size) {
    Line* const line = static_cast<Line*>(context);
    const size_t count = std::min(size, line->takes);
    line->said.append(reinterpret_cast<const char*>(data), count);
    return count;
  }
};

}  // namespace hil::test
