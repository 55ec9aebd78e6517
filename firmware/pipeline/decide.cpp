#include "pipeline/decide.h"

#include <algorithm>

namespace hil {
namespace {

Decision NoneRun(const DecideParameters&, DecideState*, ElementType, Bytes) { return {}; }

struct Best {
  bool numbers;  // whether all scores are
  int32_t winner;
  int32_t score;
};

// Of scores of any type. Not inline: the int8 of most models goes another way.
__attribute__((noinline)) Best BestOfAny(ElementType type, Bytes scores) {
  const ElementFacts& facts = Facts(type);
  Best best = {true, kNoLabel, facts.lowest};
  for (size_t i = 0; i < scores.size() / facts.bytes; ++i) {
    const int32_t score = RankAt(type, scores, i);
    best.numbers = best.numbers && score >= facts.lowest && score <= facts.highest;
    if (best.winner == kNoLabel || score > best.score) {  // of equal scores the first stays
      best.winner = static_cast<int32_t>(i);
      best.score = score;
    }
  }
  return best;
}

Decision ArgmaxRun(const DecideParameters& parameters, DecideState* state, ElementType type, Bytes bytes) {
  Decision decision;
  if (type == ElementType::kInt8) {
    const Span<const int8_t> scores(reinterpret_cast<const int8_t*>(bytes.data()), bytes.size());
    // max_element gives the first of equal scores.
    decision.winner = static_cast<int32_t>(std::max_element(scores.begin(), scores.end()) - scores.begin());
    decision.score = scores[decision.winner];
  } else {
    const Best best = BestOfAny(type, bytes);
    if (!best.numbers) {
      decision.reason = DecisionReason::kNotANumber;
      return decision;
    }
    decision.winner = best.winner;
    decision.score = best.score;
  }

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
    {"argmax", 1, true, kAnyType, ArgmaxRun},
    {"none", 1, false, kAnyType, NoneRun},
};

}  // namespace

Span<const DecideStage> DecideStages() { return kStages; }

}  // namespace hil
