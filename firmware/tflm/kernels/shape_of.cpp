// SHAPE: the sizes of a tensor's axes, as int32.
#include <algorithm>

#include "tflm/kernels/kernel.h"
#include "tflm/kernels/shape.h"

namespace hil::kernels {
namespace {

bool Prepare(const Node& node) {
  return node.output().type == kTfLiteInt32 && Elements(node.output()) == node.input(0).dims->size;
}

void Invoke(const Node& node) {
  const TfLiteIntArray& dims = *node.input(0).dims;
  std::copy_n(dims.data, dims.size, node.out<int32_t>());
}

}  // namespace

const Kernel SHAPE = {Prepare, Invoke};

}  // namespace hil::kernels
