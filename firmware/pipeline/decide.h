// The decision stages: raw scores to an answer (docs/pipeline.md).
//
// A new stage, or a new version of one, is a new line in the table of decide.cpp.
#pragma once

#include <cstdint>

#include "base/span.h"
#include "pipeline/element_type.h"

namespace hil {

enum class DecisionReason : uint8_t {
  kAccepted = 0,
  kBelowThreshold = 1,
  kDebounce = 2,
  kCooldown = 3,
  kNoStage = 4,
  kNotANumber = 5,  // a score is none: nothing is decided, and the state stays
};

constexpr int32_t kNoLabel = -1;

struct Decision {
  int32_t winner = kNoLabel;  // index of the highest score
  int32_t score = 0;          // its rank (element_type.h): the raw value of an integer
  int32_t answer = kNoLabel;  // label index, kNoLabel: unknown
  DecisionReason reason = DecisionReason::kNoStage;
};

struct DecideParameters {
  int32_t threshold;  // ranks of scores; accepted only above
  int32_t release;    // the active label stays accepted above
  uint32_t debounce;  // windows in a row that a new label must win
  uint32_t cooldown;  // windows after an accepted answer in which nothing is accepted
};

struct DecideState {
  int32_t active = kNoLabel;
  int32_t candidate = kNoLabel;
  uint32_t run = 0;
  uint32_t cool = 0;
};

// `scores`: the output tensor's elements of this type.
using DecideRun = Decision (*)(const DecideParameters& parameters, DecideState* state, ElementType type, Bytes scores);

struct DecideStage {
  const char* id;
  uint32_t version;
  bool labels;         // the stage has one score per label; without, there must be no labels
  ElementSet outputs;  // that it decides on
  DecideRun run;
};

// All stages of this firmware.
Span<const DecideStage> DecideStages();

}  // namespace hil
