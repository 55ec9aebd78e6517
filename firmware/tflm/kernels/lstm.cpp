// UNIDIRECTIONAL_SEQUENCE_LSTM of int8 or int16 activations, int8 weights and an int16 cell: without peepholes,
// projection and layer normalisation, as the converter writes it and TFLM runs it.
//
// The hidden and the cell state are variable tensors: they last from run to run, until the engine sets them back.
#include <algorithm>

#include "tflm/kernels/arithmetic.h"
#include "tflm/kernels/kernel.h"
#include "tflm/kernels/shape.h"
#include "tflm/kernels/sigmoid.h"

namespace hil::kernels {
namespace {

// Places of the inputs.
constexpr size_t kInputWeights = 1;      // of the input, forget, cell and output gate
constexpr size_t kRecurrentWeights = 5;  // in the same order
constexpr size_t kPeepholes = 9;
constexpr size_t kBiases = 12;
constexpr size_t kProjection = 16;
constexpr size_t kHiddenState = 18;
constexpr size_t kCellState = 19;
constexpr size_t kNormalisation = 20;
constexpr size_t kInputs = 24;

enum Gate : size_t { kInputGate, kForgetGate, kCellGate, kOutputGate, kGates };

constexpr double kGateScale = 1.0 / 4096.0;       // of what goes into a gate's function
constexpr double kFunctionScale = 1.0 / 32768.0;  // of what comes out

struct State {
  int batches, steps, inputs, units;
  bool time_major;
  bool tanh;     // of the cell gate; else the logistic function
  int16_t clip;  // of the cell, 0: none
  Factor from_input[kGates], from_hidden[kGates];
  Factor keep, take, give;  // cell times forget gate, input times cell gate, output gate times cell
  ToTable gate_tanh, cell_tanh, sigmoid;
  int16_t* gates;  // of one batch, kGates times units
};

bool HasSize(const TfLiteTensor& tensor, int rows, int columns) {
  return tensor.dims->size == 2 && tensor.dims->data[0] == rows && tensor.dims->data[1] == columns;
}

bool PrepareGates(const Node& node, State* state) {
  const TfLiteTensor& input = node.input(0);
  const TfLiteTensor& hidden = node.input(kHiddenState);
  const TfLiteType bias = input.type == kTfLiteInt8 ? kTfLiteInt32 : kTfLiteInt64;
  for (size_t gate = 0; gate < kGates; ++gate) {
    const size_t places[] = {kInputWeights + gate, kRecurrentWeights + gate, kBiases + gate};
    if (!std::all_of(std::begin(places), std::end(places), [&](size_t place) { return node.has(place); })) {
      return false;
    }
    const TfLiteTensor& weights = node.input(places[0]);
    const TfLiteTensor& recurrent = node.input(places[1]);
    if (weights.type != kTfLiteInt8 || recurrent.type != kTfLiteInt8 || ScaleCount(weights) != 1 ||
        ScaleCount(recurrent) != 1 || !HasSize(weights, state->units, state->inputs) ||
        !HasSize(recurrent, state->units, state->units) || node.input(places[2]).type != bias ||
        Elements(node.input(places[2])) != state->units) {
      return false;
    }
    const auto real = [](const TfLiteTensor& tensor) { return static_cast<double>(tensor.params.scale); };
    state->from_input[gate] = FactorOf(real(input) * real(weights) / kGateScale);
    state->from_hidden[gate] = FactorOf(real(hidden) * real(recurrent) / kGateScale);
  }
  return true;
}

// tanh of numbers of the scale 2^power: exactly, as the table's 24 entries a unit allow.
ToTable TanhOf(int power) {
  const int shift = power + 12;
  return shift >= 0 ? ToTable{3 << shift, 0} : ToTable{3, -shift};
}

bool Prepare(const Node& node) {
  auto* const state = node.AllocateState<State>();
  if (state == nullptr || node.inputs() != kInputs || !node.has(kHiddenState) || !node.has(kCellState)) {
    return false;
  }
  for (size_t place = kPeepholes; place < kInputs; ++place) {
    const bool wanted = (place >= kBiases && place < kProjection) || place == kHiddenState || place == kCellState;
    if (node.has(place) != wanted) {
      return false;
    }
  }
  static_assert(kNormalisation == kCellState + 1, "the last of the inputs");
  const auto& options = node.options<TfLiteUnidirectionalSequenceLSTMParams>();
  const TfLiteTensor& input = node.input(0);
  const TfLiteTensor& hidden = node.input(kHiddenState);
  const TfLiteTensor& cell = node.input(kCellState);
  if ((input.type != kTfLiteInt8 && input.type != kTfLiteInt16) || hidden.type != input.type ||
      node.output().type != input.type || cell.type != kTfLiteInt16 || input.dims->size != 3 ||
      hidden.dims->size != 2 || (options.activation != kTfLiteActTanh && options.activation != kTfLiteActSigmoid)) {
    return false;
  }
  const int* const size = input.dims->data;
  *state = {};
  state->time_major = options.time_major;
  state->batches = options.time_major ? size[1] : size[0];
  state->steps = options.time_major ? size[0] : size[1];
  state->inputs = size[2];
  state->units = hidden.dims->data[1];
  state->tanh = options.activation == kTfLiteActTanh;
  int power = 0;
  if (!HasSize(hidden, state->batches, state->units) || !HasSize(cell, state->batches, state->units) ||
      Elements(node.output()) != state->batches * state->steps * state->units ||
      !tflite::CheckedLog2(cell.params.scale, &power) || power < -30 || power > 2) {
    return false;
  }
  const auto cell_scale = static_cast<double>(cell.params.scale);
  const double clip = static_cast<double>(options.cell_clip) / cell_scale;
  state->clip = static_cast<int16_t>(std::min(std::max(clip, 0.0), 32767.0));
  state->keep = FactorOf(kFunctionScale * cell_scale / cell_scale);
  state->take = FactorOf(kFunctionScale * kFunctionScale / cell_scale);
  state->give = FactorOf(kFunctionScale * kFunctionScale / static_cast<double>(hidden.params.scale));
  state->gate_tanh = TanhOf(-12);
  state->cell_tanh = TanhOf(power);
  state->gates = node.Allocate<int16_t>(kGates * static_cast<size_t>(state->units));
  return state->gates != nullptr && PrepareGates(node, state);
}

// One row of weights times a vector, scaled for a gate's function.
template <typename T, typename Sum>
int16_t Product(const T* vector, int32_t zero, const int8_t* weights, int count, Sum sum, Factor factor) {
  for (int i = 0; i < count; ++i) {
    sum += static_cast<Sum>(vector[i] - zero) * weights[i];
  }
  return Saturated<int16_t>(ScaledSum(sum, factor));
}

template <typename T, typename Sum>
void ComputeGate(const Node& node, size_t gate, const T* input, const T* hidden) {
  const State& state = node.state<State>();
  const int32_t input_zero = node.input(0).params.zero_point;
  const int32_t hidden_zero = node.input(kHiddenState).params.zero_point;
  const int8_t* weights = node.in<int8_t>(kInputWeights + gate);
  const int8_t* recurrent = node.in<int8_t>(kRecurrentWeights + gate);
  const Sum* const bias = node.in<Sum>(kBiases + gate);
  int16_t* const out = state.gates + gate * static_cast<size_t>(state.units);
  for (int unit = 0; unit < state.units; ++unit, weights += state.inputs, recurrent += state.units) {
    const int32_t sum = Product<T, Sum>(input, input_zero, weights, state.inputs, bias[unit], state.from_input[gate]) +
                        Product<T, Sum>(hidden, hidden_zero, recurrent, state.units, 0, state.from_hidden[gate]);
    const auto whole = Saturated<int16_t>(sum);
    out[unit] = gate == kCellGate && state.tanh ? Tanh(whole, state.gate_tanh) : Sigmoid(whole, state.sigmoid);
  }
}

int16_t Times(int16_t a, int16_t b, Factor factor) { return Saturated<int16_t>(Scaled(a * b, factor)); }

// What follows the gates: cell and hidden state of one batch.
template <typename T>
void Update(const Node& node, int16_t* cell, T* hidden) {
  const State& state = node.state<State>();
  const int32_t zero = node.input(kHiddenState).params.zero_point;
  const auto gate = [&](Gate which, int unit) {
    return state.gates[which * static_cast<size_t>(state.units) + static_cast<size_t>(unit)];
  };
  for (int unit = 0; unit < state.units; ++unit) {
    const int16_t kept = Times(gate(kForgetGate, unit), cell[unit], state.keep);
    const int16_t taken = Times(gate(kInputGate, unit), gate(kCellGate, unit), state.take);
    cell[unit] = Saturated<int16_t>(kept + taken);
    if (state.clip > 0) {
      cell[unit] = std::clamp<int16_t>(cell[unit], static_cast<int16_t>(-state.clip), state.clip);
    }
    const int32_t product = Tanh(cell[unit], state.cell_tanh) * gate(kOutputGate, unit);
    hidden[unit] = Saturated<T>(Scaled(product, state.give) + zero);
  }
}

template <typename T, typename Sum>
void Run(const Node& node) {
  const State& state = node.state<State>();
  T* const hidden = reinterpret_cast<T*>(node.input(kHiddenState).data.raw);
  auto* const cell = reinterpret_cast<int16_t*>(node.input(kCellState).data.raw);
  for (int batch = 0; batch < state.batches; ++batch) {
    T* const own_hidden = hidden + batch * state.units;
    for (int step = 0; step < state.steps; ++step) {
      const int row = state.time_major ? step * state.batches + batch : batch * state.steps + step;
      for (size_t gate = 0; gate < kGates; ++gate) {
        ComputeGate<T, Sum>(node, gate, node.in<T>(0) + row * state.inputs, own_hidden);
      }
      Update(node, cell + batch * state.units, own_hidden);
      std::copy_n(own_hidden, state.units, node.out<T>() + row * state.units);
    }
  }
}

void Invoke(const Node& node) {
  if (node.output().type == kTfLiteInt8) {
    Run<int8_t, int32_t>(node);
  } else {
    Run<int16_t, int64_t>(node);
  }
}

}  // namespace

const Kernel UNIDIRECTIONAL_SEQUENCE_LSTM = {Prepare, Invoke};

}  // namespace hil::kernels
