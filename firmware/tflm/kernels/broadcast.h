// What operators of two inputs share, of which each may repeat the other along axes of size 1.
#pragma once

#include "tflm/kernels/kernel.h"
#include "tflm/kernels/shape.h"

namespace hil::kernels {

struct Broadcast {
  Axes shape;  // of the output
  Axes first, second;
};

// False when types or shapes do not go together.
inline bool PrepareBroadcast(const Node& node, Broadcast* broadcast) {
  const TfLiteTensor& first = node.input(0);
  const TfLiteTensor& second = node.input(1);
  const TfLiteTensor& output = node.output();
  if (first.type != second.type || first.type != output.type || !Fits(first) || !Fits(second) || !Fits(output)) {
    return false;
  }
  broadcast->shape = ShapeOf(output);
  return BroadcastStrides(ShapeOf(first), broadcast->shape, &broadcast->first) &&
         BroadcastStrides(ShapeOf(second), broadcast->shape, &broadcast->second);
}

// out = combine(first, second)
template <typename T, typename Combine>
void ForEachPair(const Node& node, const Broadcast& broadcast, const Combine& combine) {
  const T* const first = node.in<T>(0);
  const T* const second = node.in<T>(1);
  T* out = node.out<T>();
  Walk(broadcast.shape, broadcast.first, broadcast.second,
       [&](int a, int b) { *out++ = combine(first[a], second[b]); });
}

}  // namespace hil::kernels
