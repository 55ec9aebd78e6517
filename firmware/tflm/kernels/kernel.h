// What an operator of our own is, beside those of the TFLM that the firmware is built with.
//
// A kernel is one constant in its own file, named after the operator, which the build finds. It is written
// from the operator's specification and held bit for bit to the tflite-micro wheel (tests/kernels).
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/span.h"
#include "tensorflow/lite/c/builtin_op_data.h"
#include "tensorflow/lite/c/common.h"

namespace hil::kernels {

// One operator of the model, as a kernel sees it.
class Node {
 public:
  Node(TfLiteContext* context, TfLiteNode* node) : context_(context), node_(node) {}

  size_t inputs() const { return static_cast<size_t>(node_->inputs->size); }
  size_t outputs() const { return static_cast<size_t>(node_->outputs->size); }

  // Whether this input is there: an optional one can be left out, in the list's midst or at its end.
  bool has(size_t index) const { return index < inputs() && node_->inputs->data[index] >= 0; }
  TfLiteTensor& input(size_t index) const { return context_->tensors[node_->inputs->data[index]]; }
  TfLiteTensor& output(size_t index = 0) const { return context_->tensors[node_->outputs->data[index]]; }

  template <typename T>
  const T* in(size_t index = 0) const {
    return reinterpret_cast<const T*>(input(index).data.raw);
  }
  // nullptr when it is left out.
  template <typename T>
  const T* optional(size_t index) const {
    return has(index) ? in<T>(index) : nullptr;
  }
  template <typename T>
  T* out(size_t index = 0) const {
    return reinterpret_cast<T*>(output(index).data.raw);
  }

  // The operator's options; the type is the one of its code.
  template <typename T>
  const T& options() const {
    return *static_cast<const T*>(node_->builtin_data);
  }

  // In prepare: memory that stays, nullptr when there is none left. In the arena, so it counts for it.
  template <typename T>
  T* Allocate(size_t count = 1) const {
    void* memory = nullptr;
    const bool got = context_->AllocatePersistentBuffer(context_, count * sizeof(T), &memory) == kTfLiteOk;
    return got ? static_cast<T*>(memory) : nullptr;
  }
  // The same, as what `state` is from then on.
  template <typename T>
  T* AllocateState() const {
    T* const memory = Allocate<T>();
    node_->user_data = memory;
    return memory;
  }
  template <typename T>
  T& state() const {
    return *static_cast<T*>(node_->user_data);
  }

 private:
  TfLiteContext* context_;
  TfLiteNode* node_;
};

struct Kernel {
  // Whether the node can be run; works out what does not change from run to run. The tensors' data is only there when
  // it is constant. No kernel asks for scratch memory: this vintage cannot mix that with memory that stays.
  bool (*prepare)(const Node& node);
  void (*invoke)(const Node& node);
  // Where the TFLM at hand has a kernel of that operator, too: the nodes that this one takes over, because that one
  // refuses them or computes them wrong. All others stay what they were. nullptr: it has none.
  bool (*instead)(const Node& node) = nullptr;
};

#define HIL_KERNEL(name) extern const Kernel name;
#include "own_operators.inc"  // cmake/own_operators.cmake writes it
#undef HIL_KERNEL

}  // namespace hil::kernels
