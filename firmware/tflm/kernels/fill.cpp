// FILL, a tensor of one value, and ZEROS_LIKE, one whose stored values are 0.
#include "tflm/kernels/kernel.h"
#include "tflm/kernels/shape.h"

namespace hil::kernels {
namespace {

bool PrepareFill(const Node& node) {
  const TfLiteTensor& value = node.input(1);
  return ElementBytes(value.type) > 0 && value.type == node.output().type && Elements(value) == 1;
}

void InvokeFill(const Node& node) {
  const size_t bytes = ElementBytes(node.output().type);
  char* out = node.out<char>();
  for (int left = Elements(node.output()); left > 0; --left, out += bytes) {
    std::memcpy(out, node.in<char>(1), bytes);
  }
}

bool PrepareZeros(const Node& node) {
  return ElementBytes(node.output().type) > 0 && Elements(node.output()) == Elements(node.input(0));
}

void InvokeZeros(const Node& node) {
  const TfLiteTensor& output = node.output();
  std::memset(node.out<char>(), 0, static_cast<size_t>(Elements(output)) * ElementBytes(output.type));
}

}  // namespace

const Kernel FILL = {PrepareFill, InvokeFill};
const Kernel ZEROS_LIKE = {PrepareZeros, InvokeZeros};

}  // namespace hil::kernels
