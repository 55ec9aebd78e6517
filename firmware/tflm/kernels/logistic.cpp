// LOGISTIC and TANH of int16, to the scale 1/32768.
#include "tflm/kernels/arithmetic.h"
#include "tflm/kernels/elementwise.h"
#include "tflm/kernels/sigmoid.h"

namespace hil::kernels {
namespace {

bool Prepare(const Node& node, int small_shift) {
  auto* const state = node.AllocateState<ToTable>();
  if (state == nullptr) {
    return false;
  }
  *state = ToTableOf(node.input(0).params.scale, small_shift);
  int power = 0;
  return SameTypeAndSize(node) && node.output().type == kTfLiteInt16 && node.input(0).params.zero_point == 0 &&
         node.output().params.zero_point == 0 && tflite::CheckedLog2(node.output().params.scale, &power) &&
         power == -15 && state->fraction <= std::numeric_limits<int16_t>::max();
}

bool PrepareLogistic(const Node& node) { return Prepare(node, 0); }
bool PrepareTanh(const Node& node) { return Prepare(node, 1); }

void InvokeLogistic(const Node& node) {
  const ToTable& to = node.state<ToTable>();
  ForEach<int16_t>(node, [&](int16_t x) { return Sigmoid(x, to); });
}

void InvokeTanh(const Node& node) {
  const ToTable& to = node.state<ToTable>();
  ForEach<int16_t>(node, [&](int16_t x) { return Tanh(x, to); });
}

bool IsWide(const Node& node) { return node.input(0).type == kTfLiteInt16; }

}  // namespace

const Kernel LOGISTIC = {PrepareLogistic, InvokeLogistic, IsWide};
const Kernel TANH = {PrepareTanh, InvokeTanh, IsWide};

}  // namespace hil::kernels
