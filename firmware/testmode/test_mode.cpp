#include "testmode/test_mode.h"

#include <algorithm>
#include <array>

#include "build_info.h"
#include "link/crc32.h"
#include "memory/stack.h"
#include "port/port.h"
#include "testmode/self_test.h"
#include "testmode/stage_meter.h"
#include "tflm/engine.h"

namespace hil {
namespace {

// The prepared tensor of the last run, for `fetch`: the model overwrites its input memory while it runs.
constexpr uint32_t kPreparedBytes = HIL_PREPARED_BYTES;
uint8_t prepared_copy[kPreparedBytes];

// What a record says of the further tensors of the last run.
std::array<hil_prepared, FurtherTensors::kMostInputs> further_inputs;
std::array<hil_bytes, FurtherTensors::kMostOutputs> further_outputs;
static_assert(FurtherTensors::kMostInputs <= HIL_MAX_FURTHER_INPUTS &&
                  FurtherTensors::kMostOutputs <= HIL_MAX_FURTHER_OUTPUTS,
              "what a record can carry");

// The labels as the agent takes them.
std::array<hil_text, HIL_MAX_LABELS> labels;

// The operators of the last profile. Not in the test mode, whose initial values lie in flash.
OperatorLog profiled;

bool ProfiledOperator(uint32_t index, hil_operator_time* time) {
  const Span<const OperatorTime> kept = profiled.kept();
  if (index >= kept.size()) {
    return false;
  }
  *time = {kept[index].code, kept[index].begin, kept[index].end};
  return true;
}

Bytes WindowOf(const hil_window& window) { return Bytes(window.bytes.data, window.bytes.size); }

hil_text ToAgent(Text text) { return {text.data(), static_cast<uint32_t>(text.size())}; }

hil_bytes ToAgent(Bytes tensor) { return {tensor.data(), static_cast<uint32_t>(tensor.size())}; }

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

}  // namespace

WindowLimits TestMode::Limits() { return {HIL_AGENT_WINDOW_BYTES, kPreparedBytes}; }

const hil_product* TestMode::Observe(Product* product) {
  product_ = product;
  arena_high_water_ = product->arena_used() != 0 ? product->arena().HighWater() : 0;
  interface_.context = this;
  interface_.describe = [](void* context, hil_facts* facts) { static_cast<TestMode*>(context)->Describe(facts); };
  interface_.run = [](void* context, const hil_window* window, hil_record* record) {
    static_cast<TestMode*>(context)->Run(*window, record);
  };
  interface_.decide = [](void* context, bool fresh, hil_bytes scores, hil_decision* decision, uint32_t* wanted) {
    return static_cast<TestMode*>(context)->Decide(fresh, Bytes(scores.data, scores.size), decision, wanted);
  };
  interface_.fetch = [](void* context, uint32_t item, hil_bytes* tensor) {
    return static_cast<TestMode*>(context)->Fetch(item, tensor);
  };
  interface_.tensor = [](void* context, bool output, uint32_t index, hil_tensor* tensor) {
    return static_cast<TestMode*>(context)->Tensor(output, index, tensor);
  };
  interface_.profile = [](void* context, const hil_window* window, hil_record* record, uint32_t* ran, uint32_t* kept) {
    static_cast<TestMode*>(context)->Profile(*window, record);
    *ran = profiled.ran();
    *kept = static_cast<uint32_t>(profiled.kept().size());
  };
  interface_.operator_time = [](void*, uint32_t index, hil_operator_time* time) {
    return ProfiledOperator(index, time);
  };
  interface_.plain = [](void* context, const hil_window* window, hil_record* record) {
    return static_cast<TestMode*>(context)->Plain(*window, record);
  };
  interface_.test = [](void* context, uint8_t test, uint32_t amount, uint32_t deadline, hil_record* record) {
    return static_cast<TestMode*>(context)->Test(test, amount, deadline, record);
  };
  return &interface_;
}

void TestMode::Describe(hil_facts* facts) const {
  const Bundle& bundle = product_->bundle();
  facts->firmware = HIL_VERSION;
  facts->target = HIL_TARGET;
  facts->compiler = HIL_COMPILER;
  facts->flags = HIL_FLAGS;
#ifdef HIL_OWN_KERNELS
  facts->kernels = HIL_KERNELS "; operators of our own";
#else
  facts->kernels = HIL_KERNELS;
#endif
  facts->can = HIL_CAN_BUNDLE | HIL_CAN_MARKS;
  const Span<const uint8_t> operators = EngineOperators();
  facts->operators = {operators.data(), static_cast<uint32_t>(operators.size())};
  facts->clock = port::kClockName;
  facts->clock_hz = port::kClockHz;
  facts->arena_bytes = kArenaBytes / kPointerRatio;
  facts->stack_bytes = static_cast<uint32_t>(port::Stack().size() * sizeof(uint32_t));
  facts->bundle_status = static_cast<uint16_t>(product_->status().status);
  facts->bundle_detail = product_->status().detail;
  std::copy(bundle.hash.begin(), bundle.hash.end(), facts->bundle_hash);
  std::copy(bundle.model_hash.begin(), bundle.model_hash.end(), facts->model_hash);
  facts->case_name = hil::ToAgent(bundle.name);
  facts->case_version = bundle.version;
  facts->label_count = static_cast<uint32_t>(bundle.label_count);
  facts->labels = labels.data();
  std::transform(bundle.labels.begin(), bundle.labels.begin() + bundle.label_count, labels.begin(),
                 [](Text label) { return hil::ToAgent(label); });
  facts->input = hil::ToAgent(product_->input());
  facts->output = hil::ToAgent(product_->output());
  facts->arena_used = product_->arena_used();
  facts->arena_high_water = arena_high_water_;
}

// Every measured piece of work goes this way, the window as the self-test.
template <typename Work>
void TestMode::Measure(uint32_t deadline, hil_record* record, const Work& work) {
  const ElementType type = product_->bundle().input.element();
  const Pipeline& pipeline = product_->pipeline();
  StageMeter meter(pipeline.input(), type, pipeline.further().inputs(), prepared_copy, record,
                   further_inputs.data());  // fits: the bundle was held to it
  port::WatchdogArm(deadline);
  work(&meter);
  port::WatchdogDisarm();
  LookAround(record);
}

void TestMode::Run(const hil_window& window, hil_record* record) {
  Begin(window, record);
  PipelineResult result;
  Measure(window.deadline, record, [&](StageObserver* observer) {
    result = product_->pipeline().Process(window.capture, WindowOf(window), observer);
  });
  Report(result, record);
}

// As the product runs it: nobody observes, no deadline is set, interrupts are as they are.
uint32_t TestMode::Plain(const hil_window& window, hil_record* record) {
  Begin(window, record);
  port::ClockStart();
  const PipelineResult result = product_->pipeline().Process(window.capture, WindowOf(window), nullptr);
  const uint32_t ticks = port::ClockNow();
  LookAround(record);
  Report(result, record);
  return ticks;
}

void TestMode::Begin(const hil_window& window, hil_record* record) {
  record->received = hil_crc32(window.bytes.data, window.bytes.size);
  record->tells |= HIL_TELLS_RECEIVED;
  if (window.fresh) {
    product_->pipeline().StartStream();
  }
}

void TestMode::LookAround(hil_record* record) {
  ReadBackCore(record);
  if (product_->pipeline().configured()) {
    record->canaries = product_->arena().CheckCanaries();
    record->arena_high_water = product_->arena().HighWater();
  }
  record->stack_high_water = StackHighWater();
}

void TestMode::Report(const PipelineResult& result, hil_record* record) {
  const Pipeline& pipeline = product_->pipeline();
  record->status = static_cast<uint8_t>(result.status);
  record->gate = static_cast<uint8_t>(result.gate);
  record->decision = ToAgent(result.decision);
  if (result.status == PipelineStatus::kDone) {
    record->output = hil::ToAgent(pipeline.output());
    prepared_size_ = static_cast<uint32_t>(pipeline.input().size());
    have_output_ = true;
    ReportFurther(pipeline.further(), record);
  }
}

void TestMode::ReportFurther(const FurtherTensors& further, hil_record* record) {
  record->input_count = static_cast<uint32_t>(further.inputs().size());
  record->inputs = further_inputs.data();
  for (const FurtherInput& input : further.inputs()) {
    prepared_size_ += static_cast<uint32_t>(input.data.size());
  }
  record->output_count = static_cast<uint32_t>(further.outputs().size());
  record->outputs = further_outputs.data();
  for (size_t i = 0; i < record->output_count; ++i) {
    further_outputs[i] = hil::ToAgent(further.outputs()[i].data);
  }
}

bool TestMode::Tensor(bool output, uint32_t index, hil_tensor* tensor) const {
  if (!product_->pipeline().configured() || index >= (output ? EngineOutputs() : EngineInputs())) {
    return false;
  }
  *tensor = hil::ToAgent(ToContract(output ? EngineOutput(index) : EngineInput(index)));
  return true;
}

bool TestMode::Decide(bool fresh, Bytes scores, hil_decision* decision, uint32_t* wanted) {
  Pipeline& pipeline = product_->pipeline();
  *wanted = static_cast<uint32_t>(pipeline.output().size());
  if (!pipeline.configured() || scores.size() != *wanted) {
    return false;
  }
  if (fresh) {
    pipeline.StartStream();
  }
  *decision = ToAgent(pipeline.RunDecide(scores));
  return true;
}

bool TestMode::Fetch(uint32_t item, hil_bytes* tensor) const {
  if (!have_output_) {
    return false;
  }
  if (item == HIL_PREPARED_TENSOR) {
    *tensor = {prepared_copy, prepared_size_};
    return true;
  }
  if (item == HIL_RAW_OUTPUT) {
    *tensor = hil::ToAgent(product_->pipeline().output());
    return true;
  }
  return false;
}

// The meter starts the clock when invoke begins, so the operators' times count from there.
void TestMode::Profile(const hil_window& window, hil_record* record) {
  profiled.Clear();
  EngineProfileStart(&profiled);
  Run(window, record);
  EngineProfileStop();
}

bool TestMode::Test(uint8_t test, uint32_t amount, uint32_t deadline, hil_record* record) {
  switch (test) {
    case HIL_TEST_SPIN:
      Measure(deadline, record, [amount](StageObserver* observer) { SpinInStages(amount, observer); });
      return true;
    case HIL_TEST_SLEEP:
      record->ticks[2] = SleepOnTheClock(amount);
      return true;
    case HIL_TEST_MASKS:
      ReadBackWhileMasked(record);
      return true;
    case HIL_TEST_STACK_GUARD:
      TouchBelowStack();
      return true;
    case HIL_TEST_NULL_READ:
      ReadNull();
      return true;
    case HIL_TEST_NULL_WRITE:
      WriteNull();
      return true;
    case HIL_TEST_NULL_EXECUTE:
      ExecuteNull();
      return true;
    default:
      return false;
  }
}

hil_decision TestMode::ToAgent(const Decision& decision) const {
  return {decision.winner, decision.score, decision.answer, static_cast<uint8_t>(decision.reason),
          hil::ToAgent(product_->pipeline().Label(decision.answer))};
}

}  // namespace hil
