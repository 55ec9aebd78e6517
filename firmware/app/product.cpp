#include "app/product.h"

#include <algorithm>
#include <cstring>

#include "base/log.h"
#include "build_info.h"
#include "fault/fault_record.h"
#include "link/crc32.h"
#include "memory/stack.h"
#include "port/port.h"
#include "tflm/engine.h"

namespace hil {
namespace {

constexpr uint8_t kTensorInt8 = static_cast<uint8_t>(ElementType::kInt8);

// The prepared tensor of the last run, for `fetch`: the model overwrites its input memory while it runs.
constexpr uint32_t kPreparedBytes = HIL_PREPARED_BYTES;
uint8_t prepared_copy[kPreparedBytes];

// The operators of the last profile. Not in the product, whose initial values lie in flash.
OperatorLog profiled;

bool ProfiledOperator(uint32_t index, hil_operator_time* time) {
  const Span<const OperatorTime> kept = profiled.kept();
  if (index >= kept.size()) {
    return false;
  }
  *time = {kept[index].code, kept[index].begin, kept[index].end};
  return true;
}

// A case budgets its arena for the product's 32-bit pointers. Where pointers are wider the interpreter's structures are
// larger, so the share grows with them, and a need is told as the budget that would cover it.
constexpr uint32_t kPointerRatio = sizeof(void*) / sizeof(uint32_t);

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
    case EngineStatus::kNotOneInputOutput:
      return BundleStatus::kModelIo;
    case EngineStatus::kOperatorRefused:
    case EngineStatus::kInvokeFailed:
      break;
  }
  return BundleStatus::kModelPrepare;
}

BundleResult FromEngine(const EngineResult& result) { return {FromEngine(result.status), result.detail}; }

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

hil_text ToAgent(Text text) { return {text.data(), static_cast<uint32_t>(text.size())}; }

hil_tensor ToAgent(const TensorContract& contract) {
  hil_tensor tensor{};
  tensor.type = contract.type;
  tensor.rank = static_cast<uint32_t>(contract.rank);
  std::copy_n(contract.shape.begin(), contract.rank, tensor.shape);
  tensor.scale = contract.scale;
  tensor.zero_point = contract.zero_point;
  tensor.bytes = contract.bytes;
  return tensor;
}

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

// Measures the stages of one window. The clock is started anew for each, so what happens between them is not counted
// and each stage sees the clock in the same phase.
class StageMeter final : public StageObserver {
 public:
  StageMeter(Span<const int8_t> input, hil_record* record) : input_(input), record_(record) {}

  void Begin(Stage stage) override {
    progress.activity = ActivityOf(stage);
    port::MaskInterrupts();
    port::ClockStart();
  }

  void End(Stage stage) override {
    total_ += port::ClockNow();  // the gate's time counts as part of prepare
    port::UnmaskInterrupts();
    if (stage != Stage::kGate) {
      record_->ticks[static_cast<uint8_t>(stage) - static_cast<uint8_t>(Stage::kPrepare)] = total_;
    }
    progress.activity = Activity::kAgent;
    if (stage == Stage::kPrepare) {
      SummarisePrepared();
    }
  }

 private:
  // Reads the model's real input memory, after prepare and before the model runs.
  void SummarisePrepared() {
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
    std::memcpy(prepared_copy, bytes.data(), bytes.size());  // fits: the bundle was held to it
  }

  const Span<const int8_t> input_;
  hil_record* const record_;
  uint32_t total_ = 0;
};

}  // namespace

void Product::Start(Bytes bundle_region) {
  status_ = Load(bundle_region);
  Log("bundle: status ");
  LogDecimal(static_cast<uint32_t>(status_.status));
  LogLine(", detail", status_.detail);
}

BundleResult Product::Load(Bytes bundle_region) {
  const BundleLimits limits = {hil_agent_window_bytes(), kPreparedBytes, kArenaBytes / kPointerRatio};
  BundleResult result = ParseBundle(bundle_region, limits, &bundle_);
  if (result.ok()) {
    result = FromEngine(EngineCheckModel(bundle_.model));
  }
  if (result.ok()) {
    result = SetUpModel();
  }
  Span<int8_t> input;
  Span<const int8_t> output;
  if (result.ok()) {
    result = CheckTensors(&input, &output);
  }
  if (result.ok()) {
    pipeline_.Configure(&bundle_, input, output);
  }
  return result;
}

BundleResult Product::SetUpModel() {
  // First in the whole arena: tells a model that does not fit into its share from one that never works, and how much it
  // needs.
  const Span<uint8_t> whole = arena_.Prepare(kArenaBytes);
  EngineResult result = EngineInit(bundle_.model, whole);
  if (!result.ok()) {
    return FromEngine(result);
  }
  const uint32_t needed = EngineSmallestArena(bundle_.model, whole);
  const uint32_t share = bundle_.arena_bytes * kPointerRatio / kArenaAlignment * kArenaAlignment;
  if (needed > share) {
    return {BundleStatus::kModelArena, needed / kPointerRatio};
  }
  result = EngineInit(bundle_.model, arena_.Prepare(share));
  if (!result.ok()) {
    return FromEngine(result);
  }
  arena_used_ = EngineArenaUsed();
  arena_.Watch(EngineArenaUnused(), needed);
  arena_high_water_ = arena_.HighWater();
  return {};
}

BundleResult Product::CheckTensors(Span<int8_t>* input, Span<const int8_t>* output) {
  EngineTensor model_input;
  EngineTensor model_output;
  const EngineResult result = EngineTensors(&model_input, &model_output);
  if (!result.ok()) {
    return FromEngine(result);
  }
  input_ = ToContract(model_input);
  output_ = ToContract(model_output);
  BundleResult compared = CompareTensor(bundle_.input, input_, BundleStatus::kInputType);
  if (compared.ok()) {
    compared = CompareTensor(bundle_.output, output_, BundleStatus::kOutputType);
  }
  // All stages of this firmware write and read int8.
  if (compared.ok() && input_.type != kTensorInt8) {
    compared = {BundleStatus::kInputType, input_.type};
  }
  if (compared.ok() && output_.type != kTensorInt8) {
    compared = {BundleStatus::kOutputType, output_.type};
  }
  *input = Span<int8_t>(reinterpret_cast<int8_t*>(model_input.data.data()), model_input.data.size());
  *output = Span<const int8_t>(reinterpret_cast<int8_t*>(model_output.data.data()), model_output.data.size());
  return compared;
}

// ---- the test mode
// ---------------------------------------------------------------------------------------------------

hil_product Product::TestMode() {
  hil_product tested{};
  tested.context = this;
  tested.describe = [](void* context, hil_facts* facts) { static_cast<Product*>(context)->Describe(facts); };
  tested.run = [](void* context, const hil_window* window, hil_record* record) {
    static_cast<Product*>(context)->Run(*window, record);
  };
  tested.decide = [](void* context, bool fresh, hil_bytes scores, hil_decision* decision, uint32_t* wanted) {
    return static_cast<Product*>(context)->Decide(fresh, Bytes(scores.data, scores.size), decision, wanted);
  };
  tested.fetch = [](void* context, uint32_t item, hil_bytes* tensor) {
    return static_cast<Product*>(context)->Fetch(item, tensor);
  };
  tested.profile = [](void* context, const hil_window* window, hil_record* record, uint32_t* ran, uint32_t* kept) {
    static_cast<Product*>(context)->Profile(*window, record);
    *ran = profiled.ran();
    *kept = static_cast<uint32_t>(profiled.kept().size());
  };
  tested.operator_time = [](void*, uint32_t index, hil_operator_time* time) { return ProfiledOperator(index, time); };
  return tested;
}

void Product::Describe(hil_facts* facts) {
  facts->firmware = HIL_VERSION;
  facts->target = HIL_TARGET;
  facts->compiler = HIL_COMPILER;
  facts->flags = HIL_FLAGS;
  facts->kernels = HIL_KERNELS;
  const Span<const uint8_t> operators = EngineOperators();
  facts->operators = {operators.data(), static_cast<uint32_t>(operators.size())};
  facts->clock = port::kClockName;
  facts->clock_hz = port::kClockHz;
  facts->arena_bytes = kArenaBytes / kPointerRatio;
  facts->stack_bytes = static_cast<uint32_t>(port::Stack().size() * sizeof(uint32_t));
  facts->bundle_status = static_cast<uint16_t>(status_.status);
  facts->bundle_detail = status_.detail;
  std::copy(bundle_.hash.begin(), bundle_.hash.end(), facts->bundle_hash);
  std::copy(bundle_.model_hash.begin(), bundle_.model_hash.end(), facts->model_hash);
  facts->case_name = hil::ToAgent(bundle_.name);
  facts->case_version = bundle_.version;
  facts->label_count = static_cast<uint32_t>(bundle_.label_count);
  for (size_t i = 0; i < bundle_.label_count; ++i) {
    facts->labels[i] = hil::ToAgent(bundle_.labels[i]);
  }
  facts->input = hil::ToAgent(input_);
  facts->output = hil::ToAgent(output_);
  facts->arena_used = arena_used_;
  facts->arena_high_water = arena_high_water_;
}

void Product::Run(const hil_window& window, hil_record* record) {
  if (window.fresh) {
    pipeline_.ForgetDecisions();
  }
  StageMeter meter(pipeline_.input(), record);
  port::WatchdogArm(window.deadline);
  const PipelineResult result = pipeline_.Process(window.capture, Bytes(window.bytes.data, window.bytes.size), &meter);
  port::WatchdogDisarm();
  record->status = static_cast<uint8_t>(result.status);
  record->gate = static_cast<uint8_t>(result.gate);
  record->decision = ToAgent(result.decision);
  if (result.status == PipelineStatus::kDone) {
    const Span<const int8_t> output = pipeline_.output();
    record->output = {reinterpret_cast<const uint8_t*>(output.data()), static_cast<uint32_t>(output.size())};
    prepared_size_ = static_cast<uint32_t>(pipeline_.input().size());
    have_output_ = true;
  }
  if (pipeline_.configured()) {
    record->canaries = arena_.CheckCanaries();
    record->arena_high_water = arena_.HighWater();
  }
  record->stack_high_water = StackHighWater();
}

bool Product::Decide(bool fresh, Bytes scores, hil_decision* decision, uint32_t* wanted) {
  *wanted = static_cast<uint32_t>(pipeline_.output().size());
  if (!pipeline_.configured() || scores.size() != *wanted) {
    return false;
  }
  if (fresh) {
    pipeline_.ForgetDecisions();
  }
  const Span<const int8_t> raw(reinterpret_cast<const int8_t*>(scores.data()), scores.size());
  *decision = ToAgent(pipeline_.RunDecide(raw));
  return true;
}

bool Product::Fetch(uint32_t item, hil_bytes* tensor) const {
  if (!have_output_) {
    return false;
  }
  if (item == HIL_PREPARED_TENSOR) {
    *tensor = {prepared_copy, prepared_size_};
    return true;
  }
  if (item == HIL_RAW_OUTPUT) {
    const Span<const int8_t> output = pipeline_.output();
    *tensor = {reinterpret_cast<const uint8_t*>(output.data()), static_cast<uint32_t>(output.size())};
    return true;
  }
  return false;
}

// The meter starts the clock when invoke begins, so the operators' times count from there.
void Product::Profile(const hil_window& window, hil_record* record) {
  profiled.Clear();
  EngineProfileStart(&profiled);
  Run(window, record);
  EngineProfileStop();
}

hil_decision Product::ToAgent(const Decision& decision) const {
  return {decision.winner, decision.score, decision.answer, static_cast<uint8_t>(decision.reason),
          hil::ToAgent(pipeline_.Label(decision.answer))};
}

}  // namespace hil
