// BATCH_MATMUL of int8, int16 (sums of 64 bits) and float32; either side may be transposed, and repeat along its
// batches.
#include "tflm/kernels/arithmetic.h"
#include "tflm/kernels/kernel.h"
#include "tflm/kernels/shape.h"

namespace hil::kernels {
namespace {

constexpr int kMostRank = 5;

struct State {
  Axes batches, first, second;  // axes before the last two, and their strides
  int rows, columns, depth;
  int row, first_step;      // strides of the first matrix: from row to row, along the sum
  int column, second_step;  // strides of the second one: from column to column, along the sum
  Factor factor;
};

Axes WithoutLastTwo(Axes axes) {
  axes.rank -= 2;
  return axes;
}

bool Prepare(const Node& node) {
  const TfLiteTensor& first = node.input(0);
  const TfLiteTensor& second = node.input(1);
  const TfLiteTensor& output = node.output();
  const auto& options = node.options<TfLiteBatchMatMulParams>();
  auto* const state = node.AllocateState<State>();
  const int rank = output.dims->size;
  if (state == nullptr || first.type != second.type || first.type != output.type || rank < 2 || rank > kMostRank ||
      first.dims->size < 2 || second.dims->size < 2 || first.dims->size > rank || second.dims->size > rank) {
    return false;
  }
  const Axes shape = ShapeOf(output);
  const Axes left = Extended(ShapeOf(first), rank);
  const Axes right = Extended(ShapeOf(second), rank);
  const int last = rank - 1;
  const int before = rank - 2;
  *state = {};
  state->batches = WithoutLastTwo(shape);
  state->rows = left[options.adj_x ? last : before];
  state->depth = left[options.adj_x ? before : last];
  state->columns = right[options.adj_y ? before : last];
  state->row = options.adj_x ? 1 : left[last];
  state->first_step = options.adj_x ? left[last] : 1;
  state->column = options.adj_y ? right[last] : 1;
  state->second_step = options.adj_y ? 1 : right[last];
  if (right[options.adj_y ? last : before] != state->depth || shape[before] != state->rows ||
      shape[last] != state->columns) {
    return false;
  }
  const auto strides = [&](const Axes& matrix, Axes* to) {
    Axes batches = matrix;  // as if the matrix were one element
    batches[before] = batches[last] = 1;
    Axes as = shape;
    as[before] = as[last] = 1;
    if (!BroadcastStrides(batches, as, to)) {
      return false;
    }
    for (int axis = 0; axis < rank; ++axis) {
      (*to)[axis] *= matrix[before] * matrix[last];
    }
    *to = WithoutLastTwo(*to);
    return true;
  };
  if (!strides(left, &state->first) || !strides(right, &state->second)) {
    return false;
  }
  if (output.type == kTfLiteInt8 || output.type == kTfLiteInt16) {
    const auto product = static_cast<double>(first.params.scale * second.params.scale);  // of float32, as in TFLite
    state->factor = FactorOf(product / static_cast<double>(output.params.scale));
    return true;
  }
  return output.type == kTfLiteFloat32;
}

// done(sum) of each row and column
template <typename T, typename Sum, typename Done>
void Run(const Node& node, const Done& done) {
  const State& state = node.state<State>();
  const Sum first_zero = static_cast<Sum>(node.input(0).params.zero_point);
  const Sum second_zero = static_cast<Sum>(node.input(1).params.zero_point);
  T* out = node.out<T>();
  Walk(state.batches, state.first, state.second, [&](int first, int second) {
    for (int row = 0; row < state.rows; ++row) {
      for (int column = 0; column < state.columns; ++column) {
        const T* a = node.in<T>(0) + first + row * state.row;
        const T* b = node.in<T>(1) + second + column * state.column;
        Sum sum = 0;
        for (int left = state.depth; left > 0; --left, a += state.first_step, b += state.second_step) {
          sum += (static_cast<Sum>(*a) - first_zero) * (static_cast<Sum>(*b) - second_zero);
        }
        *out++ = done(sum);
      }
    }
  });
}

void Invoke(const Node& node) {
  const Factor factor = node.state<State>().factor;
  const int32_t zero = node.output().params.zero_point;
  if (node.output().type == kTfLiteInt8) {
    Run<int8_t, int32_t>(node, [=](int32_t sum) { return Saturated<int8_t>(Scaled(sum, factor) + zero); });
  } else if (node.output().type == kTfLiteInt16) {
    Run<int16_t, int64_t>(node, [=](int64_t sum) { return Saturated<int16_t>(ScaledLong(sum, factor) + zero); });
  } else {
    Run<float, float>(node, [](float sum) { return sum; });
  }
}

}  // namespace

const Kernel BATCH_MATMUL = {Prepare, Invoke};

}  // namespace hil::kernels
