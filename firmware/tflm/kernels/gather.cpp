// GATHER along one axis, by int32 positions that the model holds or computes. Without batch dimensions, which this
// vintage's schema does not know: what has them has another output shape, and is refused.
#include "tflm/kernels/kernel.h"
#include "tflm/kernels/shape.h"

namespace hil::kernels {
namespace {

struct State {
  int outer;     // blocks before the axis
  int size;      // of the axis
  size_t block;  // bytes behind the axis
};

bool Prepare(const Node& node) {
  const TfLiteTensor& input = node.input(0);
  const TfLiteTensor& positions = node.input(1);
  auto* const state = node.AllocateState<State>();
  const int axis = ResolvedAxis(node.options<TfLiteGatherParams>().axis, input.dims->size);
  if (state == nullptr || axis < 0 || positions.type != kTfLiteInt32 || input.type != node.output().type ||
      ElementBytes(input.type) == 0 || !Fits(input) || !Fits(node.output()) ||
      node.output().dims->size != input.dims->size + positions.dims->size - 1) {
    return false;
  }
  const Axes shape = ShapeOf(input);
  const Axes output = ShapeOf(node.output());
  *state = {1, shape[axis], ElementBytes(input.type)};
  bool same = true;
  for (int i = 0; i < shape.rank; ++i) {
    if (i < axis) {
      state->outer *= shape[i];
      same = same && output[i] == shape[i];
    } else if (i > axis) {
      state->block *= static_cast<size_t>(shape[i]);
      same = same && output[i + positions.dims->size - 1] == shape[i];
    }
  }
  for (int i = 0; i < positions.dims->size; ++i) {
    same = same && output[axis + i] == positions.dims->data[i];
  }
  return same;
}

void Invoke(const Node& node) {
  const State& state = node.state<State>();
  const char* in = node.in<char>();
  char* out = node.out<char>();
  const int32_t* const positions = node.in<int32_t>(1);
  for (int outer = 0; outer < state.outer; ++outer, in += static_cast<size_t>(state.size) * state.block) {
    for (int i = 0, count = Elements(node.input(1)); i < count; ++i, out += state.block) {
      const int at = std::clamp(static_cast<int>(positions[i]), 0, state.size - 1);  // never outside the tensor
      std::memcpy(out, in + static_cast<size_t>(at) * state.block, state.block);
    }
  }
}

}  // namespace

const Kernel GATHER = {Prepare, Invoke};

}  // namespace hil::kernels
