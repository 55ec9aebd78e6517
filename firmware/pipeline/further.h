// The tensors of a model beside its first input and the output that is decided on. Most models have none, and the image
// for those (without HIL_SEVERAL_TENSORS) does not pay for them.
#pragma once

#include <array>
#include <cstdint>

#include "base/span.h"
#include "bundle/bundle.h"
#include "pipeline/carried.h"
#include "tflm/engine.h"

namespace hil {

// What a tensor of the model that was set up looks like.
TensorContract ToContract(const EngineTensor& tensor);

struct FurtherInput {
  InputPart part;
  Span<uint8_t> data;  // of the model's tensor
};

struct FurtherOutput {
  OutputPart part;
  Bytes data;
};

class SeveralTensors {
 public:
  static constexpr size_t kMostInputs = 3;
  static constexpr size_t kMostOutputs = CarriedStates::kMost;  // all may carry state

  // Reads the bundle's items of further tensors: codes 8 to 16, 22, 24 and 25.
  BundleResult Read(Bytes items, const Bundle& bundle, const BundleLimits& limits);

  Span<const FurtherInput> inputs() const { return {inputs_, input_count_}; }
  Span<const FurtherOutput> outputs() const { return {outputs_.data(), output_count_}; }
  size_t decided() const;  // index of the output that is not among outputs()

  // How many inputs the model must have beside the first that a window feeds, and where that one is among them.
  size_t further_inputs() const { return input_count_ + states_.size(); }
  size_t first_input() const { return Fed(0); }

  // Of the end of the arena, for the state that is carried from outputs to inputs; a multiple of kArenaAlignment.
  uint32_t arena_bytes() const { return state_bytes_; }

  // Finds their memory in the model that was set up, which has as many tensors: codes 25 and 40 to 49. state:
  // arena_bytes() of memory.
  BundleResult Bind(Span<uint8_t> state);

  // The state: set back where a stream begins, carried once the model ran.
  void Forget() { states_.Forget(); }
  void Ran() const { states_.Take(); }

  // A request's window holds those of all inputs, one behind the other. Nothing of one that has another length.
  Bytes FirstOf(Bytes window) const;

  // Of a window whose first part passed the gate.
  GateReason Check(Bytes window) const;
  void Prepare(Bytes window);

 private:
  BundleResult ReadItems(Bytes items, const Bundle& bundle, const BundleLimits& limits);
  void Clear();
  BundleResult CheckStates(const Bundle& bundle, const BundleLimits& limits);
  size_t Fed(size_t place) const;  // of the inputs that windows feed: index among the model's

  size_t first_bytes_ = 0;
  size_t window_bytes_ = 0;         // of all inputs
  FurtherInput* inputs_ = nullptr;  // kMostInputs, and one more
  size_t input_count_ = 0;
  std::array<FurtherOutput, kMostOutputs + 1> outputs_{};  // the item behind the last one is read before it is refused
  size_t output_count_ = 0;
  CarriedStates states_;
  uint32_t state_bytes_ = 0;
};

// The same of models that have none.
class NoFurtherTensors {
 public:
  static constexpr size_t kMostInputs = 0;
  static constexpr size_t kMostOutputs = 0;

  BundleResult Read(Bytes items, const Bundle&, const BundleLimits&) {
    return items.empty() ? BundleResult{} : BundleResult{BundleStatus::kSeveralTensors, 0};
  }
  Span<const FurtherInput> inputs() const { return {}; }
  Span<const FurtherOutput> outputs() const { return {}; }
  size_t decided() const { return 0; }
  size_t further_inputs() const { return 0; }
  size_t first_input() const { return 0; }
  uint32_t arena_bytes() const { return 0; }
  BundleResult Bind(Span<uint8_t>) { return {}; }
  void Forget() {}
  void Ran() const {}
  const Bytes& FirstOf(const Bytes& window) const { return window; }
  GateReason Check(Bytes) const { return GateReason::kValid; }
  void Prepare(Bytes) {}
};

#ifdef HIL_SEVERAL_TENSORS
using FurtherTensors = SeveralTensors;
#else
using FurtherTensors = NoFurtherTensors;
#endif

}  // namespace hil
