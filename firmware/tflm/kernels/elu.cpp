// ELU of int8, by a table, and of float32.
#include <cmath>

#include "tflm/kernels/arithmetic.h"
#include "tflm/kernels/elementwise.h"

namespace hil::kernels {
namespace {

struct State {
  int8_t table[256];  // by the input's bits
};

bool Prepare(const Node& node) {
  if (!SameTypeAndSize(node)) {
    return false;
  }
  if (node.output().type != kTfLiteInt8) {
    return node.output().type == kTfLiteFloat32;
  }
  auto* const state = node.AllocateState<State>();
  if (state == nullptr) {
    return false;
  }
  const TfLiteQuantizationParams& in = node.input(0).params;
  const TfLiteQuantizationParams& out = node.output().params;
  const float inverse = 1.0f / out.scale;
  for (int value = -128; value <= 127; ++value) {
    const float x = in.scale * static_cast<float>(value - in.zero_point);
    const float y = x < 0.0f ? std::exp(x) - 1.0f : x;
    const float rounded = std::round(y * inverse) + static_cast<float>(out.zero_point);
    state->table[static_cast<uint8_t>(value)] = static_cast<int8_t>(std::min(std::max(rounded, -128.0f), 127.0f));
  }
  return true;
}

void Invoke(const Node& node) {
  if (node.output().type == kTfLiteFloat32) {
    ForEach<float>(node, [](float x) { return x < 0.0f ? std::expm1(x) : x; });
    return;
  }
  const State& state = node.state<State>();
  ForEach<int8_t>(node, [&](int8_t value) { return state.table[static_cast<uint8_t>(value)]; });
}

}  // namespace

const Kernel ELU = {Prepare, Invoke};

}  // namespace hil::kernels
