// SPACE_TO_DEPTH and DEPTH_TO_SPACE: square blocks of an image become its depth, and back.
#include "tflm/kernels/kernel.h"
#include "tflm/kernels/shape.h"

namespace hil::kernels {
namespace {

struct State {
  int rows;      // of blocks, of all batches
  int columns;   // of blocks
  int size;      // of a block's edge
  size_t bytes;  // of one place of the space
};

bool Prepare(const Node& node, const TfLiteTensor& space, const TfLiteTensor& depth, int size) {
  auto* const state = node.AllocateState<State>();
  if (state == nullptr || (space.type != kTfLiteInt8 && space.type != kTfLiteFloat32) || space.type != depth.type ||
      space.dims->size != 4 || depth.dims->size != 4 || size < 1) {
    return false;
  }
  const int* const large = space.dims->data;
  const int* const deep = depth.dims->data;
  *state = {deep[0] * deep[1], deep[2], size, static_cast<size_t>(large[3]) * ElementBytes(space.type)};
  return large[0] == deep[0] && large[1] == deep[1] * size && large[2] == deep[2] * size &&
         large[3] * size * size == deep[3];
}

// Calls move(place of a row of a block in the space, place in the depth), both in units of one place of the space.
template <typename Move>
void ForEachRow(const State& state, const Move& move) {
  size_t deep = 0;
  for (int row = 0; row < state.rows; ++row) {
    for (int column = 0; column < state.columns; ++column) {
      for (int y = 0; y < state.size; ++y, deep += static_cast<size_t>(state.size)) {
        move(static_cast<size_t>(((row * state.size + y) * state.columns + column) * state.size), deep);
      }
    }
  }
}

bool PrepareToDepth(const Node& node) {
  return Prepare(node, node.input(0), node.output(), node.options<TfLiteSpaceToDepthParams>().block_size);
}
bool PrepareToSpace(const Node& node) {
  return Prepare(node, node.output(), node.input(0), node.options<TfLiteDepthToSpaceParams>().block_size);
}

void InvokeToDepth(const Node& node) {
  const State& state = node.state<State>();
  ForEachRow(state, [&](size_t space, size_t depth) {
    std::memcpy(node.out<char>() + depth * state.bytes, node.in<char>() + space * state.bytes,
                static_cast<size_t>(state.size) * state.bytes);
  });
}

void InvokeToSpace(const Node& node) {
  const State& state = node.state<State>();
  ForEachRow(state, [&](size_t space, size_t depth) {
    std::memcpy(node.out<char>() + space * state.bytes, node.in<char>() + depth * state.bytes,
                static_cast<size_t>(state.size) * state.bytes);
  });
}

}  // namespace

const Kernel SPACE_TO_DEPTH = {PrepareToDepth, InvokeToDepth};
const Kernel DEPTH_TO_SPACE = {PrepareToSpace, InvokeToSpace};

}  // namespace hil::kernels
