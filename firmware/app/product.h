// The product as this firmware ships it: bundle, model in its arena, pipeline. Nothing here knows that it is tested.
#pragma once

#include <cstdint>

#include "base/span.h"
#include "bundle/bundle.h"
#include "memory/arena.h"
#include "pipeline/pipeline.h"

namespace hil {

// A case budgets its arena for the product's 32-bit pointers. Where pointers are wider the interpreter's structures are
// larger, so the share grows with them, and a need is told as the budget that would cover it.
constexpr uint32_t kPointerRatio = sizeof(void*) / sizeof(uint32_t);

// What whoever delivers the windows can handle; a bundle that needs more is refused.
struct WindowLimits {
  uint32_t window_bytes;    // longest window
  uint32_t prepared_bytes;  // longest input tensor
};

class Product {
 public:
  // Reads the bundle and sets the model up. What went wrong, if anything, is in status().
  void Start(Bytes bundle_region, const WindowLimits& limits);

  Pipeline& pipeline() { return pipeline_; }
  Arena& arena() { return arena_; }
  BundleResult status() const { return status_; }
  const Bundle& bundle() const { return bundle_; }

  // What the interpreter says it uses of its arena; 0 until the model was set up.
  uint32_t arena_used() const { return arena_used_; }

  // The tensors as the model has them, of several the first input and the output that is decided on; empty until it was
  // set up.
  const TensorContract& input() const { return input_; }
  const TensorContract& output() const { return output_; }

 private:
  BundleResult Load(Bytes bundle_region, const WindowLimits& limits);
  // state: memory in the arena for what is carried from outputs to inputs.
  BundleResult SetUpModel(Span<uint8_t>* state);
  BundleResult CheckTensors(Span<uint8_t> state, Span<uint8_t>* input, Bytes* output);

  BundleResult status_{BundleStatus::kAbsent, 0};
  Bundle bundle_;
  Arena arena_;
  Pipeline pipeline_;
  TensorContract input_;
  TensorContract output_;
  uint32_t arena_used_ = 0;
};

}  // namespace hil
