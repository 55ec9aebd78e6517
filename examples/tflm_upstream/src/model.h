// What export.py writes: the model, and what the case says of gate, front end and decision.
#pragma once

#include <cstdint>

namespace model {

constexpr uint32_t kSamples = 40, kChannels = 6, kInputs = kSamples * kChannels, kLabels = 4;

struct Channel {
  uint32_t source;
  int32_t offset;  // counts
  int32_t gain;    // Q16.16: steps of the input for 32768 counts
};

extern const uint8_t data[];
extern const uint32_t size;
extern const uint8_t hash[32];
extern const char* const case_name;
extern const uint32_t case_version;
extern const Channel channels[kChannels];
extern const int32_t minimum, maximum, min_span;
extern const char* const labels[kLabels];
extern const int32_t threshold, release;
extern const uint32_t debounce, cooldown;

}  // namespace model
