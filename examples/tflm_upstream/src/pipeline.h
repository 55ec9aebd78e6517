// Gate, front end and decision of the product, as docs/pipeline.md of hil has them: scale/1 and argmax/1.
#pragma once

#include <cstddef>
#include <cstdint>

#include "model.h"

namespace pipeline {

enum Refusal : uint8_t { kValid = 0, kLength = 1, kStale = 2, kRange = 4, kFlat = 5 };
enum Reason : uint8_t { kAccepted = 0, kBelowThreshold = 1, kDebounce = 2, kCooldown = 3 };

struct Decision {
  int32_t winner, score, answer;  // answer: -1 is unknown
  uint8_t reason;
};
constexpr Decision kNothing = {-1, 0, -1, kAccepted};

Refusal Gate(uint32_t capture, const uint8_t* window, size_t bytes);
void Prepare(const uint8_t* window, int32_t zero_point, int8_t* input);
void Fresh();  // a stream begins
Decision Decide(const int8_t* scores);

}  // namespace pipeline
