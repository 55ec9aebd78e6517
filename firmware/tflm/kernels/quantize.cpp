// QUANTIZE between quantised types, and of float32 to int16. That of 2020 has float32 to int8 and uint8.
#include <cmath>

#include "tflm/kernels/arithmetic.h"
#include "tflm/kernels/kernel.h"
#include "tflm/kernels/shape.h"

namespace hil::kernels {
namespace {

bool Prepare(const Node& node) {
  const TfLiteTensor& input = node.input(0);
  const TfLiteTensor& output = node.output();
  auto* const factor = node.AllocateState<Factor>();
  if (factor == nullptr || Elements(input) != Elements(output) || ScaleCount(output) != 1) {
    return false;
  }
  if (input.type == kTfLiteFloat32) {
    return output.type == kTfLiteInt16;
  }
  *factor = FactorOf(static_cast<double>(input.params.scale) / static_cast<double>(output.params.scale));
  switch (input.type) {
    case kTfLiteInt8:
      return IsQuantised(output.type) || output.type == kTfLiteInt32;
    case kTfLiteUInt8:
      return output.type == kTfLiteInt8;
    case kTfLiteInt16:
      return output.type == kTfLiteInt8 || output.type == kTfLiteInt16 || output.type == kTfLiteInt32;
    case kTfLiteInt32:
      return output.type == kTfLiteInt8 || output.type == kTfLiteInt16;
    default:
      return false;
  }
}

template <typename From, typename To>
void Rescale(const Node& node) {
  const int32_t from_zero = node.input(0).params.zero_point;
  const int32_t to_zero = node.output().params.zero_point;
  const Factor factor = node.state<Factor>();
  const From* const in = node.in<From>();
  To* const out = node.out<To>();
  for (int i = 0, count = Elements(node.output()); i < count; ++i) {
    out[i] = Saturated<To>(Scaled(in[i] - from_zero, factor) + to_zero);
  }
}

template <typename From>
void RescaleFrom(const Node& node) {
  switch (node.output().type) {
    case kTfLiteInt8:
      return Rescale<From, int8_t>(node);
    case kTfLiteUInt8:
      return Rescale<From, uint8_t>(node);
    case kTfLiteInt16:
      return Rescale<From, int16_t>(node);
    default:
      return Rescale<From, int32_t>(node);
  }
}

void FromFloat(const Node& node) {
  const float scale = node.output().params.scale;
  const float low = static_cast<float>(std::numeric_limits<int16_t>::min());
  const float high = static_cast<float>(std::numeric_limits<int16_t>::max());
  const float* const in = node.in<float>();
  auto* const out = node.out<int16_t>();
  for (int i = 0, count = Elements(node.output()); i < count; ++i) {
    const float rounded = std::round(in[i] / scale) + static_cast<float>(node.output().params.zero_point);
    out[i] = static_cast<int16_t>(std::min(std::max(rounded, low), high));
  }
}

void Invoke(const Node& node) {
  switch (node.input(0).type) {
    case kTfLiteFloat32:
      return FromFloat(node);
    case kTfLiteInt8:
      return RescaleFrom<int8_t>(node);
    case kTfLiteUInt8:
      return RescaleFrom<uint8_t>(node);
    case kTfLiteInt16:
      return RescaleFrom<int16_t>(node);
    default:
      return RescaleFrom<int32_t>(node);
  }
}

bool Instead(const Node& node) { return node.input(0).type != kTfLiteFloat32 || node.output().type == kTfLiteInt16; }

}  // namespace

const Kernel QUANTIZE = {Prepare, Invoke, Instead};

}  // namespace hil::kernels
