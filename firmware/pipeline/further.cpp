#include "pipeline/further.h"

#include <algorithm>
#include <new>

#include "memory/arena.h"

namespace hil {
namespace {

// The part of one input, and the bytes behind it.
Bytes Next(Bytes* window, const WindowFormat& format) {
  const size_t size = WindowBytes(format);
  const Bytes part = window->first(size);
  *window = window->subspan(size, window->size() - size);
  return part;
}

// Nothing here is read before it was written, so no start has to clear it (port/cortex-m4/sections.ld).
__attribute__((section(".noinit.further"))) alignas(FurtherInput) uint8_t
    inputs_memory[(SeveralTensors::kMostInputs + 1) * sizeof(FurtherInput)];

}  // namespace

TensorContract ToContract(const EngineTensor& tensor) {
  TensorContract contract;
  contract.type = tensor.type;
  contract.rank = std::min(tensor.shape.size(), kMaxRank);
  std::copy_n(tensor.shape.begin(), contract.rank, contract.shape.begin());
  contract.scale = tensor.scale;
  contract.zero_point = tensor.zero_point;
  contract.bytes = static_cast<uint32_t>(tensor.data.size());
  return contract;
}

BundleResult SeveralTensors::Read(Bytes items, const Bundle& bundle, const BundleLimits& limits) {
  const BundleResult result = ReadItems(items, bundle, limits);
  if (!result.ok()) {
    Clear();
  }
  return result;
}

void SeveralTensors::Clear() {
  input_count_ = output_count_ = state_bytes_ = 0;
  states_.Clear();
}

BundleResult SeveralTensors::ReadItems(Bytes items, const Bundle& bundle, const BundleLimits& limits) {
  inputs_ = reinterpret_cast<FurtherInput*>(inputs_memory);
  Clear();
  first_bytes_ = window_bytes_ = WindowBytes(bundle.window);
  BundleLimits left = limits;
  left.window_bytes -= static_cast<uint32_t>(first_bytes_);
  left.prepared_bytes -= bundle.input.bytes;
  while (!items.empty()) {
    InputPart& input = (new (&inputs_[input_count_]) FurtherInput())->part;
    FurtherItem item;
    item.input = &input;
    const BundleResult result = ParseFurther(&items, left, &item);
    if (!result.ok()) {
      return result;
    }
    if (item.kind == FurtherItem::Kind::kOutput) {
      outputs_[output_count_].part = item.output;
      if (++output_count_ > kMostOutputs) {
        return {BundleStatus::kSeveralTensors, 0};
      }
      continue;
    }
    if (item.kind == FurtherItem::Kind::kState) {
      if (!states_.Add(item.state)) {
        return {BundleStatus::kSeveralTensors, 0};
      }
      continue;
    }
    if (++input_count_ > kMostInputs) {
      return {BundleStatus::kSeveralTensors, 0};
    }
    const auto bytes = static_cast<uint32_t>(WindowBytes(input.window));
    window_bytes_ += bytes;
    left.window_bytes -= bytes;
    left.prepared_bytes -= input.input.bytes;
  }
  return CheckStates(bundle, limits);
}

// The state that is carried lies in the arena, as long as the contracts of its outputs say.
BundleResult SeveralTensors::CheckStates(const Bundle& bundle, const BundleLimits& limits) {
  uint64_t bytes = 0;
  for (size_t i = 0; i < states_.size(); ++i) {
    bytes += bundle.output.bytes;
    for (const FurtherOutput& output : outputs()) {
      bytes +=
          output.part.index == states_.pair(i).output ? uint64_t{output.part.tensor.bytes} - bundle.output.bytes : 0;
    }
  }
  if (bytes > limits.arena_bytes) {
    return {BundleStatus::kArenaLimit, limits.arena_bytes};
  }
  state_bytes_ = (static_cast<uint32_t>(bytes) + kArenaAlignment - 1) / kArenaAlignment * kArenaAlignment;
  return states_.Check(1 + further_inputs(), 1 + output_count_);
}

size_t SeveralTensors::Fed(size_t place) const {
  size_t index = 0;
  for (;; ++index) {
    if (!states_.Reaches(index) && place-- == 0) {
      return index;
    }
  }
}

size_t SeveralTensors::decided() const {
  size_t index = 0;
  for (const FurtherOutput& output : outputs()) {  // in the order of the model
    index += output.part.index == index ? 1 : 0;
  }
  return index;
}

BundleResult SeveralTensors::Bind(Span<uint8_t> state) {
  for (size_t i = 0; i < input_count_; ++i) {
    const EngineTensor tensor = EngineInput(Fed(i + 1));
    inputs_[i].data = tensor.data;
    const BundleResult compared = CompareTensor(inputs_[i].part.input, ToContract(tensor), BundleStatus::kInputType);
    if (!compared.ok()) {
      return compared;
    }
  }
  for (size_t i = 0; i < output_count_; ++i) {
    FurtherOutput& output = outputs_[i];
    if (output.part.index > output_count_) {
      return {BundleStatus::kModelIo, output.part.index};
    }
    const EngineTensor tensor = EngineOutput(output.part.index);
    output.data = tensor.data;
    const BundleResult compared = CompareTensor(output.part.tensor, ToContract(tensor), BundleStatus::kOutputType);
    if (!compared.ok()) {
      return compared;
    }
  }
  return states_.Bind(state);
}

Bytes SeveralTensors::FirstOf(Bytes window) const {
  return window.size() == window_bytes_ ? window.first(first_bytes_) : Bytes();
}

GateReason SeveralTensors::Check(Bytes window) const {
  Bytes rest = window.subspan(first_bytes_, window.size() - first_bytes_);
  for (const FurtherInput& input : inputs()) {
    Gate gate;  // a fresh one: whether the capture is stale was judged with the first input
    gate.Configure(input.part.window, input.part.gate);
    const GateReason reason = gate.Check(0, Next(&rest, input.part.window));
    if (reason != GateReason::kValid) {
      return reason;
    }
  }
  return GateReason::kValid;
}

void SeveralTensors::Prepare(Bytes window) {
  Bytes rest = window.subspan(first_bytes_, window.size() - first_bytes_);
  for (const FurtherInput& input : inputs()) {
    const InputPart& part = input.part;
    part.prepare_run(part.prepare_parameters, part.window, Next(&rest, part.window), part.input.element(),
                     part.input.zero_point, input.data);
  }
  states_.Give();
}

}  // namespace hil
