// RESHAPE, EXPAND_DIMS and SQUEEZE: the same values under another shape, which stands in the model.
#include <cstring>

#include "tflm/kernels/kernel.h"
#include "tflm/kernels/shape.h"

namespace hil::kernels {
namespace {

bool Prepare(const Node& node) {
  const TfLiteTensor& input = node.input(0);
  const TfLiteTensor& output = node.output();
  return ElementBytes(input.type) > 0 && input.type == output.type && Elements(input) == Elements(output);
}

void Invoke(const Node& node) {
  const TfLiteTensor& input = node.input(0);
  if (node.out<char>() != node.in<char>()) {
    const size_t bytes = static_cast<size_t>(Elements(input)) * ElementBytes(input.type);
    std::memcpy(node.out<char>(), node.in<char>(), bytes);
  }
}

// A shape that the model computes as it runs. The one in the file is right, as that of every tensor.
bool ComputedShape(const Node& node) { return node.has(1) && !IsConstant(node.input(1)); }

}  // namespace

const Kernel RESHAPE = {Prepare, Invoke, ComputedShape};
const Kernel EXPAND_DIMS = {Prepare, Invoke};
const Kernel SQUEEZE = {Prepare, Invoke};

}  // namespace hil::kernels
