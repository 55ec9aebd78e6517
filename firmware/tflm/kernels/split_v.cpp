// SPLIT_V: a tensor cut into parts of any sizes along one axis; each part's size stands in its shape.
#include "tflm/kernels/kernel.h"
#include "tflm/kernels/shape.h"

namespace hil::kernels {
namespace {

struct State {
  int outer;    // blocks before the axis
  size_t unit;  // bytes of one index of the axis
  int axis;
};

bool Prepare(const Node& node) {
  const TfLiteTensor& input = node.input(0);
  const TfLiteTensor& axis = node.input(2);
  auto* const state = node.AllocateState<State>();
  if (state == nullptr || !Fits(input) || ElementBytes(input.type) == 0 || !IsConstant(axis) ||
      axis.type != kTfLiteInt32 || Elements(axis) != 1) {
    return false;
  }
  const Axes shape = ShapeOf(input);
  *state = {1, ElementBytes(input.type), ResolvedAxis(node.in<int32_t>(2)[0], shape.rank)};
  if (state->axis < 0) {
    return false;
  }
  for (int i = 0; i < shape.rank; ++i) {
    state->outer *= i < state->axis ? shape[i] : 1;
    state->unit *= i > state->axis ? static_cast<size_t>(shape[i]) : 1;
  }
  int covered = 0;
  for (size_t part = 0; part < node.outputs(); ++part) {
    const TfLiteTensor& output = node.output(part);
    if (output.type != input.type || output.dims->size != shape.rank) {
      return false;
    }
    Axes expected = shape;
    expected[state->axis] = output.dims->data[state->axis];
    covered += expected[state->axis];
    if (ShapeOf(output) != expected) {
      return false;
    }
  }
  return covered == shape[state->axis];
}

void Invoke(const Node& node) {
  const State& state = node.state<State>();
  const char* in = node.in<char>();
  for (int outer = 0; outer < state.outer; ++outer) {
    for (size_t part = 0; part < node.outputs(); ++part) {
      const size_t bytes = static_cast<size_t>(node.output(part).dims->data[state.axis]) * state.unit;
      std::memcpy(node.out<char>(part) + static_cast<size_t>(outer) * bytes, in, bytes);
      in += bytes;
    }
  }
}

}  // namespace

const Kernel SPLIT_V = {Prepare, Invoke};

}  // namespace hil::kernels
