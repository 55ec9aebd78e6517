// The product: a sensor window in, an answer out (docs/pipeline.md). One window at a time, no heap, no locks.
#pragma once

#include <cstdint>

#include "base/span.h"
#include "bundle/bundle.h"
#include "pipeline/decide.h"
#include "pipeline/further.h"
#include "pipeline/gate.h"

namespace hil {

enum class Stage : uint8_t { kGate, kPrepare, kInvoke, kDecide };

enum class PipelineStatus : uint8_t {
  kDone = 0,
  kRejected = 1,
  kNoBundle = 2,
  kPrepareFailed = 3,
  kInvokeFailed = 4,
};

struct PipelineResult {
  PipelineStatus status = PipelineStatus::kNoBundle;
  GateReason gate = GateReason::kValid;
  Decision decision;
};

// Told when a stage begins and ends. The product runs without one; the test mode measures with it.
class StageObserver {
 public:
  virtual void Begin(Stage stage) = 0;
  virtual void End(Stage stage) = 0;

 protected:
  ~StageObserver() = default;
};

class Pipeline {
 public:
  // `bundle` must stay valid. The engine is set up for the bundle's model; `input` and `output` are the bytes of its
  // tensors, of several the first and the one that is decided on. further() is set up for the others.
  void Configure(const Bundle* bundle, Span<uint8_t> input, Bytes output);

  // All four stages. The first that fails ends it.
  PipelineResult Process(uint32_t capture, Bytes window, StageObserver* observer);

  // The next window begins a stream: forgets hysteresis, debounce, cooldown, and what the model keeps.
  void StartStream();

  // The stages, one by one.
  GateReason CheckGate(uint32_t capture, Bytes window) {
    const GateReason reason = gate_.Check(capture, further_.FirstOf(window));
    return reason == GateReason::kValid ? further_.Check(window) : reason;
  }
  bool RunPrepare(Bytes window);
  bool RunInvoke();
  Decision RunDecide(Bytes scores);

  bool configured() const { return bundle_ != nullptr; }
  Bytes input() const { return input_; }
  Bytes output() const { return output_; }
  FurtherTensors& further() { return further_; }
  const FurtherTensors& further() const { return further_; }

  // Text of an answer; empty when unknown.
  Text Label(int32_t answer) const;

 private:
  const Bundle* bundle_ = nullptr;
  Gate gate_;
  size_t window_bytes_ = 0;
  DecideState decide_state_;
  Span<uint8_t> input_;
  Bytes output_;
  [[no_unique_address]] FurtherTensors further_;
};

}  // namespace hil
