#include "pipeline/further.h"

#include <algorithm>
#include <new>

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
    input_count_ = output_count_ = 0;
  }
  return result;
}

BundleResult SeveralTensors::ReadItems(Bytes items, const Bundle& bundle, const BundleLimits& limits) {
  inputs_ = reinterpret_cast<FurtherInput*>(inputs_memory);
  input_count_ = output_count_ = 0;
  first_bytes_ = window_bytes_ = WindowBytes(bundle.window);
  BundleLimits left = limits;
  left.window_bytes -= static_cast<uint32_t>(first_bytes_);
  left.prepared_bytes -= bundle.input.bytes;
  while (!items.empty()) {
    InputPart& input = (new (&inputs_[input_count_]) FurtherInput())->part;
    bool is_output = false;
    const BundleResult result = ParseFurther(&items, left, &input, &outputs_[output_count_].part, &is_output);
    if (!result.ok()) {
      return result;
    }
    if (is_output) {
      if (++output_count_ > kMostOutputs) {
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
  return {};
}

size_t SeveralTensors::decided() const {
  size_t index = 0;
  for (const FurtherOutput& output : outputs()) {  // in the order of the model
    index += output.part.index == index ? 1 : 0;
  }
  return index;
}

BundleResult SeveralTensors::Bind() {
  for (size_t i = 0; i < input_count_; ++i) {
    const EngineTensor tensor = EngineInput(i + 1);
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
  return {};
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

void SeveralTensors::Prepare(Bytes window) const {
  Bytes rest = window.subspan(first_bytes_, window.size() - first_bytes_);
  for (const FurtherInput& input : inputs()) {
    const InputPart& part = input.part;
    part.prepare_run(part.prepare_parameters, part.window, Next(&rest, part.window), part.input.element(),
                     part.input.zero_point, input.data);
  }
}

}  // namespace hil
