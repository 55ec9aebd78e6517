// Whether the indices of a flatbuffer that its verifier took point at something. The verifier checks that tables lie
// inside the file, and no more.
#pragma once

#include <cstdint>

#include "tensorflow/lite/schema/schema_generated.h"

namespace hil {

// Plain loops: the library's unroll, and the firmware pays for that.
inline bool IndicesInside(const flatbuffers::Vector<int32_t>* indices, uint32_t count, int32_t least) {
  for (uint32_t i = 0; indices != nullptr && i < indices->size(); ++i) {
    const int32_t index = indices->Get(i);
    if (index < least || (index >= 0 && static_cast<uint32_t>(index) >= count)) {
      return false;
    }
  }
  return indices != nullptr;
}

inline bool Consistent(const tflite::Model& model, const tflite::SubGraph& graph) {
  if (graph.tensors() == nullptr || graph.tensors()->size() == 0) {
    return false;
  }
  for (const tflite::Tensor* tensor : *graph.tensors()) {
    if (tensor->buffer() >= model.buffers()->size()) {
      return false;
    }
  }
  constexpr int32_t kOptional = -1;
  const uint32_t tensors = graph.tensors()->size();
  for (uint32_t i = 0; graph.operators() != nullptr && i < graph.operators()->size(); ++i) {
    const tflite::Operator* const op = graph.operators()->Get(i);
    if (op->opcode_index() >= model.operator_codes()->size() || !IndicesInside(op->inputs(), tensors, kOptional) ||
        !IndicesInside(op->outputs(), tensors, 0)) {
      return false;
    }
  }
  return IndicesInside(graph.inputs(), tensors, 0) && IndicesInside(graph.outputs(), tensors, 0);
}

inline bool Consistent(const tflite::Model& model) {
  const auto& graphs = *model.subgraphs();
  if (model.buffers() == nullptr || model.operator_codes() == nullptr || graphs[0]->operators() == nullptr ||
      graphs[0]->operators()->size() == 0) {
    return false;
  }
  for (const tflite::SubGraph* graph : graphs) {
    if (!Consistent(model, *graph)) {
      return false;
    }
  }
  return true;
}

}  // namespace hil
