// STRIDED_SLICE. That of 2020 takes three types, and takes the rest of an axis where one index of it is wanted and the
// mask of its end is set as well.
#include <algorithm>

#include "tflm/kernels/kernel.h"
#include "tflm/kernels/shape.h"

namespace hil::kernels {
namespace {

struct State {
  Axes shape;    // of the slice, with axes that are dropped as 1
  Axes strides;  // in the input
  int start;
  size_t bytes;
};

// Where the slice of one axis begins and how long it is.
struct Slice {
  int begin;
  int count;
};

Slice SliceOf(int size, int begin, int end, int stride, bool from_begin, bool to_end, bool one) {
  const int lowest = stride > 0 ? 0 : -1;
  const int highest = stride > 0 ? size : size - 1;
  const auto inside = [=](int index) { return std::clamp(index < 0 ? index + size : index, lowest, highest); };
  const int first = from_begin ? (stride > 0 ? 0 : size - 1) : inside(begin);
  if (one) {
    return {first, 1};
  }
  const int last = to_end ? (stride > 0 ? size : -1) : inside(end);
  const int span = stride > 0 ? last - first : first - last;
  const int step = std::abs(stride);
  return {first, span <= 0 ? 0 : (span + step - 1) / step};
}

bool Prepare(const Node& node) {
  const TfLiteTensor& input = node.input(0);
  const auto& options = node.options<TfLiteStridedSliceParams>();
  auto* const state = node.AllocateState<State>();
  if (state == nullptr || !Fits(input) || ElementBytes(input.type) == 0 || input.type != node.output().type ||
      options.ellipsis_mask != 0 || options.new_axis_mask != 0) {
    return false;
  }
  const Axes shape = ShapeOf(input);
  for (size_t index = 1; index <= 3; ++index) {
    const TfLiteTensor& numbers = node.input(index);
    if (!IsConstant(numbers) || numbers.type != kTfLiteInt32 || Elements(numbers) != shape.rank) {
      return false;
    }
  }
  const Axes dense = StridesOf(shape);
  *state = {};
  state->bytes = ElementBytes(input.type);
  state->shape.rank = state->strides.rank = shape.rank;
  for (int axis = 0; axis < shape.rank; ++axis) {
    const int stride = node.in<int32_t>(3)[axis];
    if (stride == 0) {
      return false;
    }
    const int bit = 1 << axis;
    const Slice slice =
        SliceOf(shape[axis], node.in<int32_t>(1)[axis], node.in<int32_t>(2)[axis], stride,
                (options.begin_mask & bit) != 0, (options.end_mask & bit) != 0, (options.shrink_axis_mask & bit) != 0);
    if (slice.begin < 0 || slice.begin >= shape[axis]) {
      return false;
    }
    state->start += slice.begin * dense[axis];
    state->shape[axis] = slice.count;
    state->strides[axis] = stride * dense[axis];
  }
  return Elements(state->shape) == Elements(node.output());
}

void Invoke(const Node& node) {
  const State& state = node.state<State>();
  Gather(node.in<char>(), state.shape, state.strides, state.start, state.bytes, node.out<char>());
}

bool Instead(const Node& node) {
  const TfLiteType type = node.input(0).type;
  const auto& options = node.options<TfLiteStridedSliceParams>();
  return (options.end_mask & options.shrink_axis_mask) != 0 ||
         (type != kTfLiteInt8 && type != kTfLiteUInt8 && type != kTfLiteFloat32);
}

}  // namespace

const Kernel STRIDED_SLICE = {Prepare, Invoke, Instead};

}  // namespace hil::kernels
