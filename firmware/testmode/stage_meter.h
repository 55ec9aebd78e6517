// Measures the stages of one window, and what prepare has made.
#pragma once

#include <cstdint>

#include "agent/hil_agent.h"
#include "base/span.h"
#include "pipeline/pipeline.h"

namespace hil {

// The clock is started anew for each stage, so what happens between them is not counted and each stage sees the clock
// in the same phase. Fills in the record's ticks and what it says of the prepared tensor.
class StageMeter final : public StageObserver {
 public:
  // `input`: the model's input memory, of elements of `type`, and `further` that of its further inputs; `copy`: as
  // long, where their contents go, because the model overwrites them. `inputs`: where what prepare made of the further
  // ones goes.
  StageMeter(Bytes input, ElementType type, Span<const FurtherInput> further, Span<uint8_t> copy, hil_record* record,
             hil_prepared* inputs)
      : input_(input), type_(type), further_(further), copy_(copy), record_(record), inputs_(inputs) {}

  void Begin(Stage stage) override;
  void End(Stage stage) override;

 private:
  void SummarisePrepared();

  const Bytes input_;
  const ElementType type_;
  const Span<const FurtherInput> further_;
  const Span<uint8_t> copy_;
  hil_record* const record_;
  hil_prepared* const inputs_;
  uint32_t total_ = 0;
};

}  // namespace hil
