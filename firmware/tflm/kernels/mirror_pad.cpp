// MIRROR_PAD, with or without the edge itself in the mirrored part.
#include "tflm/kernels/kernel.h"
#include "tflm/kernels/shape.h"

namespace hil::kernels {
namespace {

struct State {
  Axes shape;    // of the output
  Axes size;     // of the input
  Axes strides;  // of the input
  Axes before;   // padding in front of each axis
  int edge;      // 1: the edge is not repeated
};

int64_t PaddingAt(const Node& node, int at) {
  return node.input(1).type == kTfLiteInt64 ? node.in<int64_t>(1)[at] : node.in<int32_t>(1)[at];
}

bool Prepare(const Node& node) {
  const TfLiteTensor& input = node.input(0);
  const TfLiteTensor& padding = node.input(1);
  auto* const state = node.AllocateState<State>();
  if (state == nullptr || !Fits(input) || !Fits(node.output()) || ElementBytes(input.type) == 0 ||
      input.type != node.output().type || !IsConstant(padding) || Elements(padding) != 2 * input.dims->size ||
      (padding.type != kTfLiteInt32 && padding.type != kTfLiteInt64)) {
    return false;
  }
  *state = {ShapeOf(node.output()), ShapeOf(input), StridesOf(ShapeOf(input)), {}, 0};
  state->edge = node.options<TfLiteMirrorPaddingParams>().mode == kTfLiteMirrorPaddingReflect ? 1 : 0;
  state->before.rank = state->size.rank;
  bool fits = state->shape.rank == state->size.rank;
  for (int axis = 0; fits && axis < state->size.rank; ++axis) {
    const int64_t before = PaddingAt(node, 2 * axis);
    const int64_t behind = PaddingAt(node, 2 * axis + 1);
    const int64_t most = state->size[axis] - state->edge;
    state->before[axis] = static_cast<int>(before);
    fits = before >= 0 && behind >= 0 && before <= most && behind <= most &&
           before + state->size[axis] + behind == state->shape[axis];
  }
  return fits;
}

// The index in the input that an index of the output shows.
int Mirrored(int index, int before, int size, int edge) {
  const int at = index - before;
  if (at < 0) {
    return -at - 1 + edge;
  }
  return at < size ? at : 2 * size - 1 - at - edge;
}

void Invoke(const Node& node) {
  const State& state = node.state<State>();
  const size_t bytes = ElementBytes(node.output().type);
  const Axes strides = StridesOf(state.shape);
  char* out = node.out<char>();
  for (int place = 0, count = Elements(state.shape); place < count; ++place, out += bytes) {
    int from = 0;
    for (int axis = 0; axis < state.shape.rank; ++axis) {
      const int index = place / strides[axis] % state.shape[axis];
      from += Mirrored(index, state.before[axis], state.size[axis], state.edge) * state.strides[axis];
    }
    std::memcpy(out, node.in<char>() + static_cast<size_t>(from) * bytes, bytes);
  }
}

}  // namespace

const Kernel MIRROR_PAD = {Prepare, Invoke};

}  // namespace hil::kernels
