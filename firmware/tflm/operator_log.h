// When the operators of one profiled inference began and ended. A fixed buffer: what does not fit is counted.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/span.h"

namespace hil {

// Ticks of the port's clock, as it stood when the operator began and ended.
struct OperatorTime {
  uint32_t begin = 0;
  uint32_t end = 0;
  uint8_t code = 0;  // builtin operator code
};

class OperatorLog {
 public:
  static constexpr size_t kCapacity = 128;

  void Clear() { ran_ = 0; }

  void Note(const OperatorTime& time) {
    if (ran_ < kCapacity) {
      times_[ran_] = time;
    }
    ++ran_;
  }

  // Operators that ran, and the first of them, in the order in which they ran.
  uint32_t ran() const { return ran_; }
  Span<const OperatorTime> kept() const {
    return Span<const OperatorTime>(times_.data(), ran_ < kCapacity ? ran_ : kCapacity);
  }

 private:
  std::array<OperatorTime, kCapacity> times_{};
  uint32_t ran_ = 0;
};

}  // namespace hil
