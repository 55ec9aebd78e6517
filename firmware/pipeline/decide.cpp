#include "pipeline/decide.h"

#include <algorithm>

namespace hil {
namespace {

Decision NoneRun(const DecideParameters&, DecideState*, Span<const int8_t>) { return {}; }

Decision ArgmaxRun(const DecideParameters& parameters, DecideState* state, Span<const int8_t> scores) {
  Decision decision;
  // max_element gives the first of equal scores.
  decision.winner = static_cast<int32_t>(std::max_element(scores.begin(), scores.end()) - scores.begin());
  decision.score = scores[decision.winner];

  const int32_t bar = decision.winner == state->active ? parameters.release : parameters.threshold;
  if (decision.score <= bar) {
    state->active = kNoLabel;
    state->candidate = kNoLabel;
    state->run = 0;
    state->cool -= state->cool > 0 ? 1 : 0;
    decision.reason = DecisionReason::kBelowThreshold;
    return decision;
  }
  if (decision.winner == state->candidate) {
    state->run = state->run < parameters.debounce ? state->run + 1 : parameters.debounce;
  } else {
    state->candidate = decision.winner;
    state->run = 1;
  }
  if (state->cool > 0) {
    --state->cool;
    decision.reason = DecisionReason::kCooldown;
    return decision;
  }
  if (decision.winner != state->active && state->run < parameters.debounce) {
    decision.reason = DecisionReason::kDebounce;
    return decision;
  }
  state->active = decision.winner;
  state->cool = parameters.cooldown;
  decision.answer = decision.winner;
  decision.reason = DecisionReason::kAccepted;
  return decision;
}

constexpr DecideStage kStages[] = {
    {"argmax", 1, true, ArgmaxRun},
    {"none", 1, false, NoneRun},
};

}  // namespace

Span<const DecideStage> DecideStages() { return kStages; }

}  // namespace hil
