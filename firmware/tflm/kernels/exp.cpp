// EXP of float32.
#include <cmath>

#include "tflm/kernels/elementwise.h"

namespace hil::kernels {
namespace {

bool Prepare(const Node& node) { return SameTypeAndSize(node) && node.output().type == kTfLiteFloat32; }

void Invoke(const Node& node) {
  ForEach<float>(node, [](float x) { return std::exp(x); });
}

}  // namespace

const Kernel EXP = {Prepare, Invoke};

}  // namespace hil::kernels
