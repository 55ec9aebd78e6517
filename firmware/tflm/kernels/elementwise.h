// What operators of one input and one output of the same shape share.
#pragma once

#include "tflm/kernels/kernel.h"
#include "tflm/kernels/shape.h"

namespace hil::kernels {

inline bool SameTypeAndSize(const Node& node) {
  return node.input(0).type == node.output().type && Elements(node.input(0)) == Elements(node.output());
}

// out[i] = map(in[i])
template <typename T, typename Map>
void ForEach(const Node& node, const Map& map) {
  const T* const in = node.in<T>();
  T* const out = node.out<T>();
  for (int i = 0, count = Elements(node.output()); i < count; ++i) {
    out[i] = map(in[i]);
  }
}

}  // namespace hil::kernels
