// The product as this firmware ships it: bundle, model in its arena, pipeline; and the test mode's view of it.
#pragma once

#include <cstdint>

#include "agent/hil_agent.h"
#include "bundle/bundle.h"
#include "memory/arena.h"
#include "pipeline/pipeline.h"

namespace hil {

class Product {
 public:
  // Reads the bundle and sets the model up. What went wrong, if anything, is in status().
  void Start(Bytes bundle_region);

  Pipeline& pipeline() { return pipeline_; }
  BundleResult status() const { return status_; }

  // What the agent calls; `context` of the functions is this product.
  hil_product TestMode();

 private:
  BundleResult Load(Bytes bundle_region);
  BundleResult SetUpModel();
  BundleResult CheckTensors(Span<int8_t>* input, Span<const int8_t>* output);

  void Describe(hil_facts* facts);
  void Run(const hil_window& window, hil_record* record);
  bool Decide(bool fresh, Bytes scores, hil_decision* decision, uint32_t* wanted);
  bool Fetch(uint32_t item, hil_bytes* tensor) const;
  void Profile(const hil_window& window, hil_record* record);
  hil_decision ToAgent(const Decision& decision) const;

  BundleResult status_{BundleStatus::kAbsent, 0};
  Bundle bundle_;
  Arena arena_;
  Pipeline pipeline_;
  TensorContract input_;
  TensorContract output_;
  uint32_t arena_used_ = 0;
  uint32_t arena_high_water_ = 0;
  uint32_t prepared_size_ = 0;
  bool have_output_ = false;
};

}  // namespace hil
