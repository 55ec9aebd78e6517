#include "pipeline.h"

#include <algorithm>

namespace pipeline {
namespace {

constexpr int32_t kNone = -1;

bool seen;
uint32_t last_capture;

int32_t active = kNone, candidate = kNone;
uint32_t run, cool;

int32_t CountAt(const uint8_t* window, uint32_t sample, uint32_t channel) {
  const uint8_t* const bytes = &window[2 * (sample * model::kChannels + channel)];
  return static_cast<int16_t>(static_cast<uint16_t>(bytes[0] | bytes[1] << 8));
}

}  // namespace

Refusal Gate(uint32_t capture, const uint8_t* window, size_t bytes) {
  if (bytes != 2 * model::kInputs) {
    return kLength;
  }
  if (seen && capture == last_capture) {
    return kStale;
  }
  seen = true;
  last_capture = capture;
  int32_t most_span = 0;
  for (uint32_t channel = 0; channel < model::kChannels; ++channel) {
    int32_t low = INT16_MAX, high = INT16_MIN;
    for (uint32_t sample = 0; sample < model::kSamples; ++sample) {
      const int32_t count = CountAt(window, sample, channel);
      low = std::min(low, count);
      high = std::max(high, count);
    }
    if (low < model::minimum || high > model::maximum) {
      return kRange;
    }
    most_span = std::max(most_span, high - low);
  }
  return model::min_span > 0 && most_span < model::min_span ? kFlat : kValid;
}

void Prepare(const uint8_t* window, int32_t zero_point, int8_t* input) {
  for (uint32_t sample = 0; sample < model::kSamples; ++sample) {
    for (const model::Channel& channel : model::channels) {
      const int64_t scaled = int64_t{CountAt(window, sample, channel.source) - channel.offset} * channel.gain;
      const int64_t value = zero_point + ((scaled + (int64_t{1} << 30)) >> 31);  // half up
      *input++ = static_cast<int8_t>(std::min<int64_t>(std::max<int64_t>(value, INT8_MIN), INT8_MAX));
    }
  }
}

void Fresh() {
  active = candidate = kNone;
  run = cool = 0;
}

Decision Decide(const int8_t* scores) {
  const int32_t winner = static_cast<int32_t>(std::max_element(scores, scores + model::kLabels) - scores);
  Decision found = {winner, scores[winner], kNone, kBelowThreshold};
  if (found.score <= (winner == active ? model::release : model::threshold)) {
    active = candidate = kNone;
    run = 0;
    cool -= cool > 0 ? 1 : 0;
    return found;
  }
  run = winner == candidate ? std::min(run + 1, model::debounce) : 1;
  candidate = winner;
  if (cool > 0) {
    --cool;
    found.reason = kCooldown;
    return found;
  }
  if (winner != active && run < model::debounce) {
    found.reason = kDebounce;
    return found;
  }
  active = winner;
  cool = model::cooldown;
  found.answer = winner;
  found.reason = kAccepted;
  return found;
}

}  // namespace pipeline
