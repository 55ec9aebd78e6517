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

// Of the bytes of a tensor, which go to `copy` too.
hil_prepared Summarise(Bytes input, ElementType type, uint8_t* copy) {
  const ElementFacts& facts = Facts(type);
  int32_t minimum = facts.highest;
  int32_t maximum = facts.lowest;
  uint32_t saturated = 0;
  const size_t elements = input.empty() ? 0 : input.size() / facts.bytes;
  for (size_t i = 0; i < elements; ++i) {
    const int32_t rank = RankAt(type, input, i);
    minimum = std::min(minimum, rank);
    maximum = std::max(maximum, rank);
    saturated += rank <= facts.lowest || rank >= facts.highest ? 1 : 0;
  }
  if (!input.empty()) {  // there is none without a bundle
    std::memcpy(copy, input.data(), input.size());
  }
  return {hil_crc32(input.data(), input.size()), minimum, maximum, saturated};
}

}  // namespace

// Reads the model's real input memory, after prepare and before the model runs.
inline void StageMeter::SummarisePrepared() {
  uint8_t* copy = copy_.data();
  const hil_prepared first = Summarise(input_, type_, copy);
  record_->digest = first.digest;
  record_->minimum = first.minimum;
  record_->maximum = first.maximum;
  record_->saturated = first.saturated;
  copy += input_.size();
  for (size_t i = 0; i < further_.size(); ++i) {
    inputs_[i] = Summarise(further_[i].data, further_[i].part.input.element(), copy);
    copy += further_[i].data.size();
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
