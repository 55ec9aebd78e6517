// TRANSPOSE: the axes in another order, which stands in the model.
#include "tflm/kernels/kernel.h"
#include "tflm/kernels/shape.h"

namespace hil::kernels {
namespace {

struct State {
  Axes shape;    // of the output
  Axes strides;  // of its axes, in the input
};

bool Prepare(const Node& node) {
  const TfLiteTensor& input = node.input(0);
  const TfLiteTensor& order = node.input(1);
  auto* const state = node.AllocateState<State>();
  if (state == nullptr || !Fits(input) || ElementBytes(input.type) == 0 || input.type != node.output().type ||
      !IsConstant(order) || order.type != kTfLiteInt32 || Elements(order) != input.dims->size) {
    return false;
  }
  const Axes shape = ShapeOf(input);
  const Axes strides = StridesOf(shape);
  *state = {};
  state->shape.rank = state->strides.rank = shape.rank;
  unsigned seen = 0;
  for (int axis = 0; axis < shape.rank; ++axis) {
    const int from = ResolvedAxis(node.in<int32_t>(1)[axis], shape.rank);
    if (from < 0) {
      return false;
    }
    seen |= 1u << from;
    state->shape[axis] = shape[from];
    state->strides[axis] = strides[from];
  }
  return seen + 1 == 1u << shape.rank && Fits(node.output()) && ShapeOf(node.output()) == state->shape;
}

void Invoke(const Node& node) {
  const State& state = node.state<State>();
  Gather(node.in<char>(), state.shape, state.strides, 0, ElementBytes(node.input(0).type), node.out<char>());
}

}  // namespace

const Kernel TRANSPOSE = {Prepare, Invoke};

}  // namespace hil::kernels
