// MEAN and SUM of int8, int16 and float32, REDUCE_MAX and REDUCE_MIN of int8 and float32.
//
// The quantised mean follows TFLM since 2022: the factor takes in the division by the count, so that a mean is rounded
// once, when it is scaled. TFLM of 2021 and TFLite 2.5 to 2.9 rounded the mean first.
#include <algorithm>

#include "tflm/kernels/arithmetic.h"
#include "tflm/kernels/kernel.h"
#include "tflm/kernels/shape.h"

namespace hil::kernels {
namespace {

struct State {
  Axes outer, outer_strides;  // axes that stay
  Axes inner, inner_strides;  // axes that are reduced
  int count;                  // elements of each result
  Factor factor;
};

void Append(Axes* axes, int size) { (*axes)[axes->rank++] = size; }

bool PrepareAxes(const Node& node, State* state) {
  const TfLiteTensor& input = node.input(0);
  const TfLiteTensor& axes = node.input(1);
  if (!Fits(input) || !IsConstant(axes) || axes.type != kTfLiteInt32 || Elements(axes) < 1 ||
      input.type != node.output().type) {
    return false;
  }
  const Axes shape = ShapeOf(input);
  const Axes strides = StridesOf(shape);
  unsigned reduced = 0;
  for (int i = 0; i < Elements(axes); ++i) {
    const int axis = ResolvedAxis(node.in<int32_t>(1)[i], shape.rank);
    if (axis < 0) {
      return false;
    }
    reduced |= 1u << axis;
  }
  *state = {};
  for (int axis = 0; axis < shape.rank; ++axis) {
    const bool inner = (reduced >> axis & 1u) != 0;
    Append(inner ? &state->inner : &state->outer, shape[axis]);
    Append(inner ? &state->inner_strides : &state->outer_strides, strides[axis]);
  }
  state->count = Elements(state->inner);
  return state->count > 0 && Elements(state->outer) == Elements(node.output());
}

// result(first) begins with the first element's value; add(result, value) takes in all.
template <typename T, typename Result, typename Add, typename Done>
void Reduce(const Node& node, Result begin, const Add& add, const Done& done) {
  const State& state = node.state<State>();
  const T* const in = node.in<T>();
  T* out = node.out<T>();
  Walk(state.outer, state.outer_strides, state.outer_strides, [&](int from, int) {
    Result result = begin;
    Walk(state.inner, state.inner_strides, state.inner_strides,
         [&](int offset, int) { result = add(result, in[from + offset]); });
    *out++ = done(result);
  });
}

// ---- MEAN, SUM

// 1 / count becomes part of the factor, with as many bits as are to spare.
Factor Divided(Factor factor, int count) {
  const int bits = std::min(31 - __builtin_clz(static_cast<unsigned>(count)), 31 + factor.shift);
  const int64_t fraction = (static_cast<int64_t>(factor.fraction) << bits) / count;
  return {static_cast<int32_t>(fraction), factor.shift - bits};
}

bool PrepareSum(const Node& node, bool mean) {
  auto* const state = node.AllocateState<State>();
  if (state == nullptr || !PrepareAxes(node, state)) {
    return false;
  }
  const TfLiteTensor& input = node.input(0);
  if (input.type == kTfLiteInt8 || input.type == kTfLiteInt16) {
    const double ratio = static_cast<double>(input.params.scale) / static_cast<double>(node.output().params.scale);
    state->factor = FactorOf(ratio);
    if (mean) {
      state->factor = Divided(state->factor, state->count);
    }
    return true;
  }
  return input.type == kTfLiteFloat32;
}

template <typename T>
void QuantisedSum(const Node& node) {
  const State& state = node.state<State>();
  const int32_t offset = node.input(0).params.zero_point * state.count;
  const int32_t zero = node.output().params.zero_point;
  Reduce<T>(
      node, int32_t{0}, [](int32_t sum, T value) { return sum + value; },
      [&](int32_t sum) { return Saturated<T>(Scaled(sum - offset, state.factor) + zero); });
}

void InvokeSum(const Node& node, bool mean) {
  if (node.input(0).type == kTfLiteInt8) {
    QuantisedSum<int8_t>(node);
  } else if (node.input(0).type == kTfLiteInt16) {
    QuantisedSum<int16_t>(node);
  } else {
    const float count = mean ? static_cast<float>(node.state<State>().count) : 1.0f;
    Reduce<float>(
        node, 0.0f, [](float sum, float value) { return sum + value; }, [=](float sum) { return sum / count; });
  }
}

bool PrepareMean(const Node& node) { return PrepareSum(node, true); }
bool PrepareOnlySum(const Node& node) { return PrepareSum(node, false); }
void InvokeMean(const Node& node) { InvokeSum(node, true); }
void InvokeOnlySum(const Node& node) { InvokeSum(node, false); }

// That of 2020 takes float32 only, and only one form of it.
bool Always(const Node&) { return true; }

// ---- REDUCE_MAX, REDUCE_MIN

bool PrepareExtreme(const Node& node) {
  auto* const state = node.AllocateState<State>();
  const TfLiteType type = node.input(0).type;
  return state != nullptr && PrepareAxes(node, state) &&
         (type == kTfLiteFloat32 || (type == kTfLiteInt8 && SameQuantisation(node.input(0), node.output())));
}

template <typename T>
void Extreme(const Node& node, bool largest) {
  using Limits = std::numeric_limits<T>;
  const T begin = largest ? Limits::lowest() : Limits::max();
  Reduce<T>(
      node, begin, [=](T found, T value) { return (largest ? value > found : value < found) ? value : found; },
      [](T found) { return found; });
}

void InvokeExtreme(const Node& node, bool largest) {
  if (node.input(0).type == kTfLiteInt8) {
    Extreme<int8_t>(node, largest);
  } else {
    Extreme<float>(node, largest);
  }
}

void InvokeMax(const Node& node) { InvokeExtreme(node, true); }
void InvokeMin(const Node& node) { InvokeExtreme(node, false); }

}  // namespace

const Kernel MEAN = {PrepareMean, InvokeMean, Always};
const Kernel SUM = {PrepareOnlySum, InvokeOnlySum};
const Kernel REDUCE_MAX = {PrepareExtreme, InvokeMax};
const Kernel REDUCE_MIN = {PrepareExtreme, InvokeMin};

}  // namespace hil::kernels
