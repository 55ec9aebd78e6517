// The state of a model that gives it as an output and takes it as an input: the product carries it from window to
// window. TFLM lays outputs over inputs that it has read, so what is carried lies in memory of its own in between.
#pragma once

#include <array>
#include <cstdint>

#include "base/span.h"
#include "bundle/bundle.h"

namespace hil {

class CarriedStates {
 public:
  static constexpr size_t kMost = 12;

  void Clear() { count_ = 0; }

  // False: one more than kMost.
  bool Add(const StatePart& pair);

  // Whether the pairs can be those of a model with so many inputs and outputs: code 25.
  BundleResult Check(size_t inputs, size_t outputs) const;

  size_t size() const { return count_; }
  const StatePart& pair(size_t place) const { return states_[place].pair; }
  bool Reaches(size_t input) const;

  // Finds the tensors of the model that was set up; what is carried lies in `memory` from then on. Code 25.
  BundleResult Bind(Span<uint8_t> memory);

  void Forget() { forgotten_ = true; }  // a stream begins: real 0 in all of them, once the next window is prepared
  void Give();                          // to the model's inputs, before it runs
  void Take() const;                    // from its outputs, once it ran

 private:
  struct State {  // small, as there is one for each of kMost in every larger image
    StatePart pair;
    ElementType type{};
    int32_t zero_point = 0;
    const uint8_t* from = nullptr;
    uint8_t* kept = nullptr;
    uint8_t* to = nullptr;
    uint32_t bytes = 0;  // of each of the three
  };

  void SetBack() const;
  Span<const State> states() const { return {states_.data(), count_}; }

  std::array<State, kMost> states_{};
  size_t count_ = 0;
  bool forgotten_ = true;
};

}  // namespace hil
