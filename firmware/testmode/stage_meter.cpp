#include "testmode/stage_meter.h"

#include <algorithm>
#include <cstring>

#include "fault/fault_record.h"
#include "link/crc32.h"
#include "port/port.h"

namespace hil {
namespace {

Activity ActivityOf(Stage stage) {
  switch (stage) {
    case Stage::kGate:
      return Activity::kGate;
    case Stage::kPrepare:
      return Activity::kPrepare;
    case Stage::kInvoke:
      return Activity::kInvoke;
    case Stage::kDecide:
      return Activity::kDecide;
  }
  return Activity::kAgent;
}

}  // namespace

// Reads the model's real input memory, after prepare and before the model runs.
inline void StageMeter::SummarisePrepared() {
  const Bytes bytes(reinterpret_cast<const uint8_t*>(input_.data()), input_.size());
  record_->digest = Crc32(bytes);
  int32_t minimum = 127;
  int32_t maximum = -128;
  uint32_t saturated = 0;
  for (const int8_t q : input_) {
    minimum = std::min<int32_t>(minimum, q);
    maximum = std::max<int32_t>(maximum, q);
    saturated += q == 127 || q == -128 ? 1 : 0;
  }
  record_->minimum = minimum;
  record_->maximum = maximum;
  record_->saturated = saturated;
  if (!bytes.empty()) {  // there is none without a bundle
    std::memcpy(copy_.data(), bytes.data(), bytes.size());
  }
}

void StageMeter::Begin(Stage stage) {
  progress.activity = ActivityOf(stage);
  port::MaskInterrupts();
  port::ClockStart();
}

void StageMeter::End(Stage stage) {
  total_ += port::ClockNow();  // the gate's time counts as part of prepare
  port::UnmaskInterrupts();
  if (stage == Stage::kGate) {
    record_->gate_ticks = total_;
    record_->tells |= HIL_TELLS_GATE;
  } else {
    record_->ticks[static_cast<uint8_t>(stage) - static_cast<uint8_t>(Stage::kPrepare)] = total_;
  }
  progress.activity = Activity::kAgent;
  if (stage == Stage::kPrepare) {
    SummarisePrepared();
  }
}

}  // namespace hil
