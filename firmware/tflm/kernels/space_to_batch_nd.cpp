// SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND over one or two axes: what a dilated convolution is written with.
#include "tflm/kernels/kernel.h"
#include "tflm/kernels/shape.h"

namespace hil::kernels {
namespace {

// The blocks of a tensor [batch, height, width, depth]; one without a width has 1 of it.
struct State {
  int batches, height, width;                    // of the side with the larger space
  int block_height, block_width;                 //
  int top, left;                                 // padding, or what is cropped
  int small_batches, small_height, small_width;  // of the side with more batches
  size_t bytes;                                  // of all of the depth
};

struct Space {
  int batches, height, width, depth;
};

Space SpaceOf(const TfLiteTensor& tensor) {
  const int* const size = tensor.dims->data;
  return tensor.dims->size == 4 ? Space{size[0], size[1], size[2], size[3]} : Space{size[0], size[1], 1, size[2]};
}

bool Prepare(const Node& node, const TfLiteTensor& large, const TfLiteTensor& small) {
  auto* const state = node.AllocateState<State>();
  const int rank = large.dims->size;
  const int axes = rank - 2;  // that have blocks
  if (state == nullptr || (large.type != kTfLiteInt8 && large.type != kTfLiteFloat32) || large.type != small.type ||
      (rank != 3 && rank != 4) || small.dims->size != rank || large.params.scale != small.params.scale) {
    return false;
  }
  for (size_t index = 1; index <= 2; ++index) {
    const TfLiteTensor& numbers = node.input(index);
    if (!IsConstant(numbers) || numbers.type != kTfLiteInt32 || Elements(numbers) != axes * static_cast<int>(index)) {
      return false;
    }
  }
  const int32_t* const block = node.in<int32_t>(1);
  const int32_t* const edge = node.in<int32_t>(2);
  const Space whole = SpaceOf(large);
  const Space parts = SpaceOf(small);
  *state = {whole.batches,
            whole.height,
            whole.width,
            static_cast<int>(block[0]),
            1,
            static_cast<int>(edge[0]),
            0,
            parts.batches,
            parts.height,
            parts.width,
            static_cast<size_t>(whole.depth) * ElementBytes(large.type)};
  int height = whole.height + static_cast<int>(edge[0] + edge[1]);
  int width = whole.width;
  if (axes == 2) {
    state->block_width = static_cast<int>(block[1]);
    state->left = static_cast<int>(edge[2]);
    width += static_cast<int>(edge[2] + edge[3]);
  }
  return state->block_height > 0 && state->block_width > 0 && whole.depth == parts.depth &&
         parts.height * state->block_height == height && parts.width * state->block_width == width &&
         parts.batches == whole.batches * state->block_height * state->block_width;
}

// Calls move(place in the large tensor or -1 outside of it, place in the small one) for each depth of the small one.
template <typename Move>
void ForEachPlace(const State& state, const Move& move) {
  int small = 0;
  for (int batch = 0; batch < state.small_batches; ++batch) {
    const int offset = batch / state.batches;
    const int shift_y = offset / state.block_width - state.top;
    const int shift_x = offset % state.block_width - state.left;
    for (int y = 0; y < state.small_height; ++y) {
      const int large_y = y * state.block_height + shift_y;
      for (int x = 0; x < state.small_width; ++x, ++small) {
        const int large_x = x * state.block_width + shift_x;
        const bool inside = large_y >= 0 && large_y < state.height && large_x >= 0 && large_x < state.width;
        move(inside ? (batch % state.batches * state.height + large_y) * state.width + large_x : -1, small);
      }
    }
  }
}

bool PrepareToBatch(const Node& node) { return Prepare(node, node.input(0), node.output()); }
bool PrepareToSpace(const Node& node) { return Prepare(node, node.output(), node.input(0)); }

void InvokeToBatch(const Node& node) {
  const State& state = node.state<State>();
  const char* const in = node.in<char>();
  char* const out = node.out<char>();
  const int padding = node.output().type == kTfLiteInt8 ? static_cast<int>(node.output().params.zero_point) : 0;
  ForEachPlace(state, [&](int large, int small) {
    char* const to = out + static_cast<size_t>(small) * state.bytes;
    if (large < 0) {
      std::memset(to, padding, state.bytes);
    } else {
      std::memcpy(to, in + static_cast<size_t>(large) * state.bytes, state.bytes);
    }
  });
}

void InvokeToSpace(const Node& node) {
  const State& state = node.state<State>();
  const char* const in = node.in<char>();
  char* const out = node.out<char>();
  ForEachPlace(state, [&](int large, int small) {
    if (large >= 0) {
      std::memcpy(out + static_cast<size_t>(large) * state.bytes, in + static_cast<size_t>(small) * state.bytes,
                  state.bytes);
    }
  });
}

}  // namespace

const Kernel SPACE_TO_BATCH_ND = {PrepareToBatch, InvokeToBatch};
const Kernel BATCH_TO_SPACE_ND = {PrepareToSpace, InvokeToSpace};

}  // namespace hil::kernels
