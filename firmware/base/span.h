// A view of contiguous values: pointer and length that travel together (C++17 has no std::span).
#pragma once

#include <cstddef>
#include <cstdint>

namespace hil {

template <typename T>
class Span {
 public:
  constexpr Span() = default;
  constexpr Span(T* data, size_t size) : data_(data), size_(size) {}
  template <size_t kSize>
  constexpr Span(T (&array)[kSize]) : data_(array), size_(kSize) {}  // NOLINT: meant to convert
  template <typename U>
  constexpr Span(Span<U> other) : data_(other.data()), size_(other.size()) {}  // NOLINT: U* to const U*

  constexpr T* data() const { return data_; }
  constexpr size_t size() const { return size_; }
  constexpr bool empty() const { return size_ == 0; }
  constexpr T* begin() const { return data_; }
  constexpr T* end() const { return data_ + size_; }
  constexpr T& operator[](size_t index) const { return data_[index]; }

  // The caller makes sure that the range lies inside.
  constexpr Span subspan(size_t offset, size_t size) const { return Span(data_ + offset, size); }
  constexpr Span first(size_t size) const { return Span(data_, size); }

 private:
  T* data_ = nullptr;
  size_t size_ = 0;
};

using Bytes = Span<const uint8_t>;

// Text without a terminating zero.
using Text = Span<const char>;

}  // namespace hil
