#include "pipeline/prepare.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace hil {
namespace {

// Writes the elements of a tensor one after the other, each clamped to the range of its type.
class Int8Writer {
 public:
  Int8Writer(ElementType, Span<uint8_t> tensor) : out_(reinterpret_cast<int8_t*>(tensor.data())) {}
  void Put(int64_t q) { *out_++ = static_cast<int8_t>(std::clamp<int64_t>(q, -128, 127)); }

 private:
  int8_t* out_;
};

// Of any type of at most 16 bits.
class AnyWriter {
 public:
  AnyWriter(ElementType type, Span<uint8_t> tensor) : facts_(Facts(type)), out_(tensor.data()) {}
  void Put(int64_t q);

 private:
  const ElementFacts& facts_;
  uint8_t* out_;
};

// Not inline, which would make the loops around it once for each size.
__attribute__((noinline)) void AnyWriter::Put(int64_t q) {
  const auto element = static_cast<int16_t>(std::clamp<int64_t>(q, facts_.lowest, facts_.highest));
  std::memcpy(out_, &element, facts_.bytes);  // little-endian: the lower byte comes first
  out_ += facts_.bytes;
}

uint64_t ElementsOfWindow(const PrepareParameters&, const WindowFormat& window) { return WindowElements(window); }

// ---- tensor/1: the window is the tensor --------------------------------------------------------------------------

bool TensorValid(const PrepareParameters&, const WindowFormat&, uint32_t*) { return true; }

void TensorRun(const PrepareParameters&, const WindowFormat&, Bytes window, ElementType, int32_t,
               Span<uint8_t> tensor) {
  std::memcpy(tensor.data(), window.data(), tensor.size());
}

// ---- scale/1: sensor counts, per channel offset and gain
// -------------------------------------------------------------

bool ScaleValid(const PrepareParameters& parameters, const WindowFormat& window, uint32_t* index) {
  *index = 0;
  if (parameters.channel_count == 0) {
    return false;
  }
  for (size_t c = 0; c < parameters.channel_count; ++c) {
    if (parameters.channels[c].source >= window.channels) {
      *index = static_cast<uint32_t>(c);
      return false;
    }
  }
  return true;
}

uint64_t ScaleElements(const PrepareParameters& parameters, const WindowFormat& window) {
  return static_cast<uint64_t>(window.samples) * parameters.channel_count;
}

int64_t ScaleOne(int16_t count, const ScaleChannel& channel, int32_t zero_point) {
  // |count - offset| < 2^32 and |gain| <= 2^31: the product and the rounding term fit 64 bits.
  const int64_t acc = (static_cast<int64_t>(count) - channel.offset) * channel.gain;
  return zero_point + ((acc + (int64_t{1} << 30)) >> 31);
}

template <typename Writer>
void ScaleRun(const PrepareParameters& parameters, const WindowFormat& format, Bytes window, ElementType type,
              int32_t zero_point, Span<uint8_t> tensor) {
  Writer out(type, tensor);
  for (uint32_t sample = 0; sample < format.samples; ++sample) {
    const size_t row = static_cast<size_t>(sample) * format.channels;
    for (size_t c = 0; c < parameters.channel_count; ++c) {
      const ScaleChannel& channel = parameters.channels[c];
      out.Put(ScaleOne(LoadElement<int16_t>(window, row + channel.source), channel, zero_point));
    }
  }
}

// ---- quantize/1: physical units, one factor
// --------------------------------------------------------------------------

bool QuantizeValid(const PrepareParameters& parameters, const WindowFormat&, uint32_t* index) {
  *index = 0;
  return std::isfinite(parameters.factor) && parameters.factor > 0.0f;
}

void QuantizeRun(const PrepareParameters& parameters, const WindowFormat& format, Bytes window, ElementType type,
                 int32_t zero_point, Span<uint8_t> tensor) {
  // Farther from the zero point than any element of the type lies, and inside int32.
  const float limit = ElementBytes(type) == 1 ? 1024.0f : 131072.0f;
  AnyWriter out(type, tensor);
  for (size_t i = 0; i < WindowElements(format); ++i) {
    const float y = std::clamp(LoadElement<float>(window, i) * parameters.factor, -limit, limit);
    out.Put(zero_point + static_cast<int64_t>(static_cast<int32_t>(std::floor(y + 0.5f))));
  }
}

constexpr PrepareStage kStages[] = {
    {"tensor", 1, kQuantised | kFloat, kQuantised | kFloat, true, TensorRun, TensorRun, TensorValid, ElementsOfWindow},
    {"scale", 1, SetOf(ElementType::kInt16), kQuantised, false, ScaleRun<Int8Writer>, ScaleRun<AnyWriter>, ScaleValid,
     ScaleElements},
    {"quantize", 1, kFloat, kQuantised, false, QuantizeRun, QuantizeRun, QuantizeValid, ElementsOfWindow},
};

}  // namespace

Span<const PrepareStage> PrepareStages() { return kStages; }

}  // namespace hil
