// The test mode: what the agent asks of the product, how that is measured, and what the instruments are tested with.
#pragma once

#include <cstdint>

#include "agent/hil_agent.h"
#include "app/product.h"

namespace hil {

class TestMode {
 public:
  // The longest windows that it can deliver, and the longest input tensor that it keeps for `fetch`.
  static WindowLimits Limits();

  // What the agent calls, for a product that has started. Both must stay valid.
  const hil_product* Observe(Product* product);

 private:
  void Describe(hil_facts* facts) const;
  void Run(const hil_window& window, hil_record* record);
  uint32_t Plain(const hil_window& window, hil_record* record);
  bool Decide(bool fresh, Bytes scores, hil_decision* decision, uint32_t* wanted);
  bool Fetch(uint32_t item, hil_bytes* tensor) const;
  void Profile(const hil_window& window, hil_record* record);
  bool Test(uint8_t test, uint32_t amount, uint32_t deadline, hil_record* record);

  template <typename Work>
  void Measure(uint32_t deadline, hil_record* record, const Work& work);
  void Begin(const hil_window& window, hil_record* record);
  void Report(const PipelineResult& result, hil_record* record);
  void ReportFurther(const FurtherTensors& further, hil_record* record);
  bool Tensor(bool output, uint32_t index, hil_tensor* tensor) const;
  void LookAround(hil_record* record);
  hil_decision ToAgent(const Decision& decision) const;

  hil_product interface_{};
  Product* product_ = nullptr;
  uint32_t arena_high_water_ = 0;  // when the product had started
  uint32_t prepared_size_ = 0;
  bool have_output_ = false;
};

}  // namespace hil
