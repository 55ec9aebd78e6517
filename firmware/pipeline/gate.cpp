#include "pipeline/gate.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace hil {
namespace {

// Bounds of an integer window. The bundle holds whole numbers; what lies outside 32 bits bounds nothing.
int32_t ToInteger(float bound) {
  constexpr float kLimit = 2147483648.0f;
  if (bound >= kLimit) {
    return std::numeric_limits<int32_t>::max();
  }
  if (bound < -kLimit) {
    return std::numeric_limits<int32_t>::min();
  }
  return static_cast<int32_t>(bound);
}

bool AllFinite(Bytes window, size_t elements) {
  for (size_t i = 0; i < elements; ++i) {
    if (!std::isfinite(LoadElement<float>(window, i))) {
      return false;
    }
  }
  return true;
}

// Elements as they are stored.
template <typename Element>
struct Stored {
  Element operator()(Bytes window, size_t index) const { return LoadElement<Element>(window, index); }
};

// Those of 8 bits. flip: 0x80 for a type with a sign, else 0.
struct Stored8 {
  int32_t flip;
  int32_t operator()(Bytes window, size_t index) const { return (window[index] ^ flip) - flip; }
};

// `load` gives an element, `Value` is the type that bounds and spans are computed in.
template <typename Value, typename Load>
GateReason CheckValues(Bytes window, const WindowFormat& format, Load load, Value minimum, Value maximum,
                       Value min_span) {
  const size_t elements = static_cast<size_t>(WindowElements(format));
  for (size_t i = 0; i < elements; ++i) {
    const Value value = load(window, i);
    if (value < minimum || value > maximum) {
      return GateReason::kRange;
    }
  }
  if (!(min_span > 0)) {
    return GateReason::kValid;
  }
  for (uint32_t channel = 0; channel < format.channels; ++channel) {
    Value lowest = load(window, channel);
    Value highest = lowest;
    for (uint32_t sample = 1; sample < format.samples; ++sample) {
      const Value value = load(window, static_cast<size_t>(sample) * format.channels + channel);
      lowest = std::min(lowest, value);
      highest = std::max(highest, value);
    }
    const Value span = highest - lowest;
    if (span >= min_span) {
      return GateReason::kValid;
    }
  }
  return GateReason::kFlat;
}

}  // namespace

GateReason Gate::Check(uint32_t capture, Bytes window) {
  if (window.size() != bytes_) {
    return GateReason::kLength;
  }
  if (seen_ && capture == last_capture_) {
    return GateReason::kStale;
  }
  seen_ = true;
  last_capture_ = capture;

  const GateParameters& p = parameters_;
  switch (format_.type) {
    case ElementType::kFloat32:
      if (!AllFinite(window, static_cast<size_t>(WindowElements(format_)))) {
        return GateReason::kNonfinite;
      }
      return CheckValues<float>(window, format_, Stored<float>{}, p.minimum, p.maximum, p.min_span);
    case ElementType::kInt16:
      return CheckValues<int32_t>(window, format_, Stored<int16_t>{}, ToInteger(p.minimum), ToInteger(p.maximum),
                                  ToInteger(p.min_span));
    case ElementType::kUint8:
    case ElementType::kInt8:
      return CheckValues<int32_t>(window, format_, Stored8{format_.type == ElementType::kInt8 ? 0x80 : 0},
                                  ToInteger(p.minimum), ToInteger(p.maximum), ToInteger(p.min_span));
    case ElementType::kInt32:  // no stage takes such windows
      break;
  }
  return GateReason::kLength;
}

}  // namespace hil
