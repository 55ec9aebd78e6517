// CAST between int8, int16, int32 and float32, and of bool to these. A float that the integer type does not hold has no
// specified result; here it saturates. A bool is read as its byte, so that one that is neither 0 nor 1 stops nothing.
#include <cmath>
#include <type_traits>

#include "tflm/kernels/arithmetic.h"
#include "tflm/kernels/kernel.h"
#include "tflm/kernels/shape.h"

namespace hil::kernels {
namespace {

bool IsNumber(TfLiteType type) {
  return type == kTfLiteInt8 || type == kTfLiteInt16 || type == kTfLiteInt32 || type == kTfLiteFloat32;
}

bool Prepare(const Node& node) {
  const TfLiteTensor& input = node.input(0);
  return (IsNumber(input.type) || input.type == kTfLiteBool) && IsNumber(node.output().type) &&
         Elements(input) == Elements(node.output());
}

template <typename To, typename From>
To Converted(From value) {
  if constexpr (std::is_same_v<From, float> && !std::is_same_v<To, float>) {
    constexpr double kLow = std::numeric_limits<To>::min();
    constexpr double kHigh = std::numeric_limits<To>::max();
    const double real = std::isnan(value) ? 0.0 : static_cast<double>(value);
    return static_cast<To>(std::min(std::max(real, kLow), kHigh));
  } else {
    return static_cast<To>(value);
  }
}

template <typename From, typename To>
void Cast(const Node& node) {
  const From* const in = node.in<From>();
  To* const out = node.out<To>();
  for (int i = 0, count = Elements(node.output()); i < count; ++i) {
    out[i] = Converted<To>(in[i]);
  }
}

template <typename From>
void CastFrom(const Node& node) {
  switch (node.output().type) {
    case kTfLiteInt8:
      return Cast<From, int8_t>(node);
    case kTfLiteInt16:
      return Cast<From, int16_t>(node);
    case kTfLiteInt32:
      return Cast<From, int32_t>(node);
    default:
      return Cast<From, float>(node);
  }
}

void Invoke(const Node& node) {
  switch (node.input(0).type) {
    case kTfLiteInt8:
      return CastFrom<int8_t>(node);
    case kTfLiteInt16:
      return CastFrom<int16_t>(node);
    case kTfLiteInt32:
      return CastFrom<int32_t>(node);
    case kTfLiteBool:
      return CastFrom<uint8_t>(node);
    default:
      return CastFrom<float>(node);
  }
}

}  // namespace

const Kernel CAST = {Prepare, Invoke};

}  // namespace hil::kernels
