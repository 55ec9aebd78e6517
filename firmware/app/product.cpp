#include "app/product.h"

#include <algorithm>

#include "base/log.h"
#include "tflm/engine.h"

namespace hil {
namespace {

BundleStatus FromEngine(EngineStatus status) {
  switch (status) {
    case EngineStatus::kOk:
      return BundleStatus::kOk;
    case EngineStatus::kNotAFlatbuffer:
      return BundleStatus::kModelFlatbuffer;
    case EngineStatus::kSchemaVersion:
      return BundleStatus::kModelSchema;
    case EngineStatus::kSubgraphs:
      return BundleStatus::kModelSubgraphs;
    case EngineStatus::kUnsupportedOperator:
      return BundleStatus::kModelOperator;
    case EngineStatus::kArenaTooSmall:
      return BundleStatus::kModelArena;
    case EngineStatus::kInputsOutputs:
      return BundleStatus::kModelIo;
    case EngineStatus::kOperatorRefused:
    case EngineStatus::kInvokeFailed:
      break;
  }
  return BundleStatus::kModelPrepare;
}

BundleResult FromEngine(const EngineResult& result) { return {FromEngine(result.status), result.detail}; }

}  // namespace

void Product::Start(Bytes bundle_region, const WindowLimits& limits) {
  status_ = Load(bundle_region, limits);
  Log("bundle: status ");
  LogDecimal(static_cast<uint32_t>(status_.status));
  LogLine(", detail", status_.detail);
}

BundleResult Product::Load(Bytes bundle_region, const WindowLimits& limits) {
  const BundleLimits all = {limits.window_bytes, limits.prepared_bytes, kArenaBytes / kPointerRatio};
  Bytes further;
  BundleResult result = ParseBundle(bundle_region, all, &bundle_, &further);
  if (result.ok()) {
    result = pipeline_.further().Read(further, bundle_, all);
  }
  if (result.ok()) {
    result = FromEngine(EngineCheckModel(bundle_.model));
  }
  Span<uint8_t> state;
  if (result.ok()) {
    result = SetUpModel(&state);
  }
  Span<uint8_t> input;
  Bytes output;
  if (result.ok()) {
    result = CheckTensors(state, &input, &output);
  }
  if (result.ok()) {
    pipeline_.Configure(&bundle_, input, output);
  }
  return result;
}

BundleResult Product::SetUpModel(Span<uint8_t>* state) {
  // First in the whole arena: tells a model that does not fit into its share from one that never works, and how much it
  // needs.
  const Span<uint8_t> whole = arena_.Prepare(kArenaBytes);
  EngineResult result = EngineInit(bundle_.model, whole);
  if (!result.ok()) {
    return FromEngine(result);
  }
  const uint32_t kept = pipeline_.further().arena_bytes() * kPointerRatio;  // at the upper end of the share
  const uint32_t needed = EngineSmallestArena(bundle_.model, whole) + kept;
  const uint32_t share = bundle_.arena_bytes * kPointerRatio / kArenaAlignment * kArenaAlignment;
  if (needed > share) {
    return {BundleStatus::kModelArena, needed / kPointerRatio};
  }
  const Span<uint8_t> arena = arena_.Prepare(share);
  result = EngineInit(bundle_.model, arena.first(arena.size() - kept));
  if (!result.ok()) {
    return FromEngine(result);
  }
  *state = arena.subspan(arena.size() - kept, kept);
  arena_used_ = EngineArenaUsed() + kept;
  arena_.Watch(EngineArenaUnused(), needed);
  return {};
}

BundleResult Product::CheckTensors(Span<uint8_t> state, Span<uint8_t>* input, Bytes* output) {
  FurtherTensors& further = pipeline_.further();
  const EngineResult result = EngineHas(1 + further.further_inputs(), 1 + further.outputs().size());
  if (!result.ok()) {
    return FromEngine(result);
  }
  const EngineTensor model_input = EngineInput(further.first_input());
  const EngineTensor model_output = EngineOutput(further.decided());
  input_ = ToContract(model_input);
  output_ = ToContract(model_output);
  BundleResult compared = CompareTensor(bundle_.input, input_, BundleStatus::kInputType);
  if (compared.ok()) {
    compared = CompareTensor(bundle_.output, output_, BundleStatus::kOutputType);
  }
  if (compared.ok()) {
    compared = further.Bind(state);
  }
  *input = model_input.data;
  *output = model_output.data;
  return compared;
}

}  // namespace hil
