// SLICE: a box out of a tensor, from where and how large the model says.
#include "tflm/kernels/kernel.h"
#include "tflm/kernels/shape.h"

namespace hil::kernels {
namespace {

struct State {
  Axes shape;  // of the box
  Axes strides;
  int start;
};

bool IsIndex(const TfLiteTensor& tensor, int count) {
  return IsConstant(tensor) && (tensor.type == kTfLiteInt32 || tensor.type == kTfLiteInt64) &&
         Elements(tensor) == count;
}

int64_t IndexAt(const Node& node, size_t input, int at) {
  return node.input(input).type == kTfLiteInt64 ? node.in<int64_t>(input)[at] : node.in<int32_t>(input)[at];
}

bool Prepare(const Node& node) {
  const TfLiteTensor& input = node.input(0);
  auto* const state = node.AllocateState<State>();
  if (state == nullptr || !Fits(input) || ElementBytes(input.type) == 0 || input.type != node.output().type ||
      !IsIndex(node.input(1), input.dims->size) || !IsIndex(node.input(2), input.dims->size)) {
    return false;
  }
  const Axes shape = ShapeOf(input);
  *state = {};
  state->strides = StridesOf(shape);
  state->shape.rank = shape.rank;
  for (int axis = 0; axis < shape.rank; ++axis) {
    const int64_t begin = IndexAt(node, 1, axis);
    const int64_t wanted = IndexAt(node, 2, axis);
    const int64_t size = wanted == -1 ? shape[axis] - begin : wanted;  // -1: to the end
    if (begin < 0 || size < 1 || begin + size > shape[axis]) {
      return false;
    }
    state->start += static_cast<int>(begin) * state->strides[axis];
    state->shape[axis] = static_cast<int>(size);
  }
  return Elements(state->shape) == Elements(node.output());
}

void Invoke(const Node& node) {
  const State& state = node.state<State>();
  const size_t bytes = ElementBytes(node.input(0).type);
  Gather(node.in<char>(), state.shape, state.strides, state.start, bytes, node.out<char>());
}

}  // namespace

const Kernel SLICE = {Prepare, Invoke};

}  // namespace hil::kernels
