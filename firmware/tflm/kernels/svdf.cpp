// SVDF of int8 activations, with a state of int8 or int16, and of float32: each filter sees a projection of the input
// through a memory of the last ones.
//
// The memory is a variable tensor: it lasts from run to run, until the engine sets it back.
#include <algorithm>

#include "tflm/kernels/arithmetic.h"
#include "tflm/kernels/kernel.h"
#include "tflm/kernels/shape.h"

namespace hil::kernels {
namespace {

// Places of the inputs.
constexpr size_t kFeatures = 1;  // weights of the projection: filters, inputs
constexpr size_t kTimes = 2;     // weights of the memory: filters, memory
constexpr size_t kBias = 3;
constexpr size_t kMemory = 4;  // batches, filters times memory
constexpr size_t kInputs = 5;

struct State {
  int batches, inputs, filters, memory, rank;
  Factor to_memory, to_output;
  FloatRange range;
};

bool HasSize(const TfLiteTensor& tensor, int rows, int columns) {
  return tensor.dims->size == 2 && tensor.dims->data[0] == rows && tensor.dims->data[1] == columns;
}

bool PrepareInteger(const Node& node, State* state) {
  const TfLiteTensor& features = node.input(kFeatures);
  const TfLiteTensor& times = node.input(kTimes);
  const TfLiteTensor& memory = node.input(kMemory);
  if (features.type != kTfLiteInt8 || (times.type != kTfLiteInt8 && times.type != kTfLiteInt16) ||
      memory.type != times.type || ScaleCount(features) != 1 || ScaleCount(times) != 1 ||
      node.input(kBias).type != kTfLiteInt32) {
    return false;
  }
  const auto real = [](const TfLiteTensor& tensor) { return static_cast<double>(tensor.params.scale); };
  state->to_memory = FactorOf(real(node.input(0)) * real(features) / real(memory));
  state->to_output = FactorOf(real(memory) * real(times) / real(node.output()));
  return true;
}

bool PrepareFloat(const Node& node, State* state) {
  for (size_t place = kFeatures; place < kInputs; ++place) {
    if (node.input(place).type != kTfLiteFloat32) {
      return false;
    }
  }
  return ActivationRange(node.options<TfLiteSVDFParams>().activation, &state->range);
}

bool Prepare(const Node& node) {
  auto* const state = node.AllocateState<State>();
  if (state == nullptr || node.inputs() != kInputs) {
    return false;
  }
  for (size_t place = 0; place < kInputs; ++place) {
    if (!node.has(place)) {  // TFLM runs none without a bias
      return false;
    }
  }
  const TfLiteTensor& input = node.input(0);
  const TfLiteTensor& times = node.input(kTimes);
  if (input.dims->size != 2 || times.dims->size != 2 || node.output().type != input.type) {
    return false;
  }
  *state = {};
  state->batches = input.dims->data[0];
  state->inputs = input.dims->data[1];
  state->filters = times.dims->data[0];
  state->memory = times.dims->data[1];
  state->rank = node.options<TfLiteSVDFParams>().rank;
  if (state->rank < 1 || state->filters % state->rank != 0 || state->memory < 1) {
    return false;
  }
  const int units = state->filters / state->rank;
  if (!HasSize(node.input(kFeatures), state->filters, state->inputs) ||
      !HasSize(node.input(kMemory), state->batches, state->filters * state->memory) ||
      !HasSize(node.output(), state->batches, units) || Elements(node.input(kBias)) != units) {
    return false;
  }
  return input.type == kTfLiteInt8      ? PrepareInteger(node, state)
         : input.type == kTfLiteFloat32 ? PrepareFloat(node, state)
                                        : false;
}

// The sum of products; of integers it wraps, as the reference's does.
int32_t MultiplyAdd(int32_t sum, int32_t a, int32_t b) {
  return static_cast<int32_t>(static_cast<uint32_t>(sum) + static_cast<uint32_t>(a) * static_cast<uint32_t>(b));
}
float MultiplyAdd(float sum, float a, float b) { return sum + a * b; }

int32_t Added(int32_t a, int32_t b) {
  return static_cast<int32_t>(static_cast<uint32_t>(a) + static_cast<uint32_t>(b));
}
float Added(float a, float b) { return a + b; }

template <typename Sum, typename A, typename B>
Sum Product(const A* a, const B* b, int count, Sum zero) {
  Sum sum = 0;
  for (int i = 0; i < count; ++i) {
    sum = MultiplyAdd(sum, static_cast<Sum>(a[i]), static_cast<Sum>(b[i]) - zero);
  }
  return sum;
}

// Makes room for what comes in, at the end of each filter's memory.
template <typename T>
T* Shifted(const Node& node, const State& state) {
  T* const memory = reinterpret_cast<T*>(node.input(kMemory).data.raw);
  std::copy(memory + 1, memory + state.batches * state.filters * state.memory, memory);
  return memory;
}

// From an input through the memory to the sum of a unit. remember: a projection as the memory holds it; give: a sum as
// the output is.
template <typename Activation, typename Memory, typename Sum, typename Remember, typename Give>
void Run(const Node& node, Sum input_zero, Sum memory_zero, const Remember& remember, const Give& give) {
  const State& state = node.state<State>();
  const Sum* const bias = node.in<Sum>(kBias);
  Memory* row = Shifted<Memory>(node, state);
  Activation* out = node.out<Activation>();
  for (int batch = 0; batch < state.batches; ++batch) {
    const Activation* const input = node.in<Activation>() + batch * state.inputs;
    Sum sum = 0;
    for (int filter = 0; filter < state.filters; ++filter, row += state.memory) {
      const Activation* const features = node.in<Activation>(kFeatures) + filter * state.inputs;
      row[state.memory - 1] = remember(Product<Sum>(features, input, state.inputs, input_zero));
      if (filter % state.rank == 0) {
        sum = bias[filter / state.rank];
      }
      const Memory* const times = node.in<Memory>(kTimes) + filter * state.memory;
      sum = Added(sum, Product<Sum>(times, row, state.memory, memory_zero));
      if ((filter + 1) % state.rank == 0) {
        *out++ = give(sum);
      }
    }
  }
}

template <typename Memory>
void RunInteger(const Node& node) {
  const State& state = node.state<State>();
  const int32_t zero = node.input(kMemory).params.zero_point;
  const int32_t output_zero = node.output().params.zero_point;
  Run<int8_t, Memory, int32_t>(
      node, node.input(0).params.zero_point, zero,
      // The zero point comes behind the clamp, and may wrap around: so has it TFLM up to October 2026.
      [&](int32_t sum) { return static_cast<Memory>(Saturated<Memory>(Scaled(sum, state.to_memory)) + zero); },
      [&](int32_t sum) { return Saturated<int8_t>(Added(Scaled(sum, state.to_output), output_zero)); });
}

void Invoke(const Node& node) {
  if (node.output().type == kTfLiteFloat32) {
    const FloatRange range = node.state<State>().range;
    Run<float, float, float>(
        node, 0.0f, 0.0f, [](float sum) { return sum; }, [&](float sum) { return Clamped(sum, range); });
  } else if (node.input(kMemory).type == kTfLiteInt16) {
    RunInteger<int16_t>(node);
  } else {
    RunInteger<int8_t>(node);
  }
}

}  // namespace

const Kernel SVDF = {Prepare, Invoke};

}  // namespace hil::kernels
