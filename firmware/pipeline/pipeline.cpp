#include "pipeline/pipeline.h"

#include "tflm/engine.h"

namespace hil {
namespace {

// Tells the observer, if there is one, where a stage begins and ends.
class StageScope {
 public:
  StageScope(StageObserver* observer, Stage stage) : observer_(observer), stage_(stage) {
    if (observer_ != nullptr) {
      observer_->Begin(stage_);
    }
  }
  ~StageScope() {
    if (observer_ != nullptr) {
      observer_->End(stage_);
    }
  }
  StageScope(const StageScope&) = delete;
  StageScope& operator=(const StageScope&) = delete;

 private:
  StageObserver* const observer_;
  const Stage stage_;
};

}  // namespace

void Pipeline::Configure(const Bundle* bundle, Span<uint8_t> input, Bytes output) {
  bundle_ = bundle;
  gate_.Configure(bundle->window, bundle->gate);
  window_bytes_ = WindowBytes(bundle->window);
  input_ = input;
  output_ = output;
  EngineKeepState(bundle->keeps_state);
  StartStream();
}

void Pipeline::StartStream() {
  decide_state_ = {};
  if (configured()) {
    EngineForget();
    further_.Forget();
  }
}

PipelineResult Pipeline::Process(uint32_t capture, Bytes window, StageObserver* observer) {
  PipelineResult result;
  if (!configured()) {
    return result;
  }
  {
    const StageScope scope(observer, Stage::kGate);
    result.gate = CheckGate(capture, window);
  }
  if (result.gate != GateReason::kValid) {
    result.status = PipelineStatus::kRejected;
    return result;
  }
  bool done;
  {
    const StageScope scope(observer, Stage::kPrepare);
    done = RunPrepare(window);
  }
  if (!done) {
    result.status = PipelineStatus::kPrepareFailed;
    return result;
  }
  {
    const StageScope scope(observer, Stage::kInvoke);
    done = RunInvoke();
    if (done) {
      further_.Ran();
    }
  }
  if (!done) {
    result.status = PipelineStatus::kInvokeFailed;
    return result;
  }
  {
    const StageScope scope(observer, Stage::kDecide);
    result.decision = RunDecide(output_);
  }
  result.status = PipelineStatus::kDone;
  return result;
}

bool Pipeline::RunPrepare(Bytes window) {
  const Bytes& first = further_.FirstOf(window);
  if (first.size() != window_bytes_) {
    return false;
  }
  bundle_->prepare_run(bundle_->prepare_parameters, bundle_->window, first, bundle_->input.element(),
                       bundle_->input.zero_point, input_);
  further_.Prepare(window);
  return true;
}

bool Pipeline::RunInvoke() { return EngineInvoke().ok(); }

Decision Pipeline::RunDecide(Bytes scores) {
  return bundle_->decide_run(bundle_->decide_parameters, &decide_state_, bundle_->output.element(), scores);
}

Text Pipeline::Label(int32_t answer) const {
  return answer >= 0 && configured() ? bundle_->labels[static_cast<size_t>(answer)] : Text();
}

}  // namespace hil
