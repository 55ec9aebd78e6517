#include "pipeline/carried.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "pipeline/element_type.h"
#include "pipeline/further.h"
#include "tflm/engine.h"

namespace hil {
namespace {

BundleResult NoPair(const StatePart& pair) {
  return {BundleStatus::kStatePair, uint32_t{pair.output} << 8 | pair.input};
}

// Whether the bytes of one mean the same in the other. Converters give the two scales of a state that differ in their
// last bits; docs/models.md has the rule.
bool MeanTheSame(const TensorContract& output, const TensorContract& input) {
  constexpr float kSameScale = 1e-6f;
  return output.type == input.type && output.bytes == input.bytes && output.zero_point == input.zero_point &&
         std::fabs(output.scale - input.scale) <= kSameScale * input.scale;
}

}  // namespace

bool CarriedStates::Add(const StatePart& pair) {
  if (count_ == kMost) {
    return false;
  }
  states_[count_++].pair = pair;
  return true;
}

BundleResult CarriedStates::Check(size_t inputs, size_t outputs) const {
  for (const State& state : states()) {
    const auto reached = std::count_if(states().begin(), states().end(),
                                       [&state](const State& other) { return other.pair.input == state.pair.input; });
    if (state.pair.input >= inputs || state.pair.output >= outputs || reached != 1) {
      return NoPair(state.pair);
    }
  }
  return {};
}

bool CarriedStates::Reaches(size_t input) const {
  return std::any_of(states().begin(), states().end(),
                     [input](const State& state) { return state.pair.input == input; });
}

BundleResult CarriedStates::Bind(Span<uint8_t> memory) {
  for (size_t i = 0; i < count_; ++i) {
    State& state = states_[i];
    const EngineTensor output = EngineOutput(state.pair.output);
    const EngineTensor input = EngineInput(state.pair.input);
    const TensorContract contract = ToContract(input);
    const bool known = ElementBytes(contract.element()) != 0;
    if (!known || !MeanTheSame(ToContract(output), contract) || output.data.size() > memory.size()) {
      return NoPair(state.pair);
    }
    state.from = output.data.data();
    state.to = input.data.data();
    state.kept = memory.data();
    state.bytes = contract.bytes;  // those of the output, too
    state.type = contract.element();
    state.zero_point = contract.zero_point;
    memory = memory.subspan(output.data.size(), memory.size() - output.data.size());
  }
  return {};
}

void CarriedStates::SetBack() const {
  for (const State& state : states()) {
    const uint32_t size = ElementBytes(state.type);
    const auto zero = static_cast<uint32_t>(state.type == ElementType::kFloat32 ? 0 : state.zero_point);
    for (size_t i = 0; i < state.bytes; ++i) {
      state.kept[i] = static_cast<uint8_t>(zero >> (8 * (i % size)));
    }
  }
}

void CarriedStates::Give() {
  if (forgotten_) {
    SetBack();
    forgotten_ = false;
  }
  for (const State& state : states()) {
    std::memcpy(state.to, state.kept, state.bytes);
  }
}

void CarriedStates::Take() const {
  for (const State& state : states()) {
    std::memcpy(state.kept, state.from, state.bytes);
  }
}

}  // namespace hil
