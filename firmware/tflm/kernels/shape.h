// Shapes of tensors, and walks over all elements of one.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "tensorflow/lite/c/common.h"

namespace hil::kernels {

constexpr int kMostAxes = 6;

// Sizes or strides of up to kMostAxes axes, the outermost first.
struct Axes {
  int rank = 0;
  std::array<int, kMostAxes> size{};

  int& operator[](int axis) { return size[static_cast<size_t>(axis)]; }
  int operator[](int axis) const { return size[static_cast<size_t>(axis)]; }
};

inline bool operator==(const Axes& a, const Axes& b) {
  return a.rank == b.rank && std::equal(a.size.begin(), a.size.begin() + a.rank, b.size.begin());
}
inline bool operator!=(const Axes& a, const Axes& b) { return !(a == b); }

inline int Elements(const Axes& shape) {
  int elements = 1;
  for (int axis = 0; axis < shape.rank; ++axis) {
    elements *= shape[axis];
  }
  return elements;
}

inline int Elements(const TfLiteTensor& tensor) {
  int elements = 1;
  for (int axis = 0; axis < tensor.dims->size; ++axis) {
    elements *= tensor.dims->data[axis];
  }
  return elements;
}

inline bool Fits(const TfLiteTensor& tensor, int most_axes = kMostAxes) { return tensor.dims->size <= most_axes; }

// The tensor has at most kMostAxes axes.
inline Axes ShapeOf(const TfLiteTensor& tensor) {
  Axes shape;
  shape.rank = tensor.dims->size;
  std::copy_n(tensor.dims->data, shape.rank, shape.size.begin());
  return shape;
}

// The same shape with `rank` axes: further ones of size 1 in front.
inline Axes Extended(const Axes& shape, int rank) {
  Axes extended;
  extended.rank = rank;
  std::fill_n(extended.size.begin(), rank - shape.rank, 1);
  std::copy_n(shape.size.begin(), shape.rank, extended.size.begin() + (rank - shape.rank));
  return extended;
}

// Elements from one index of an axis to the next, of a tensor without gaps.
inline Axes StridesOf(const Axes& shape) {
  Axes strides;
  strides.rank = shape.rank;
  int stride = 1;
  for (int axis = shape.rank - 1; axis >= 0; --axis) {
    strides[axis] = stride;
    stride *= shape[axis];
  }
  return strides;
}

// The strides with which a tensor of `shape` is read as one of the larger shape `as`: 0 along axes that repeat it.
// False when it cannot be.
inline bool BroadcastStrides(const Axes& shape, const Axes& as, Axes* strides) {
  if (shape.rank > as.rank) {
    return false;
  }
  const Axes extended = Extended(shape, as.rank);
  *strides = StridesOf(extended);
  for (int axis = 0; axis < as.rank; ++axis) {
    if (extended[axis] != as[axis]) {
      if (extended[axis] != 1) {
        return false;
      }
      (*strides)[axis] = 0;
    }
  }
  return true;
}

// Calls visit(a, b) for each index of `shape`, the last axis fastest; a and b are the index's offsets with `first` and
// `second` as strides.
template <typename Visit>
void Walk(const Axes& shape, const Axes& first, const Axes& second, const Visit& visit) {
  std::array<int, kMostAxes> index{};
  int a = 0;
  int b = 0;
  for (int left = Elements(shape); left > 0; --left) {
    visit(a, b);
    for (int axis = shape.rank - 1; axis >= 0; --axis) {
      const auto at = static_cast<size_t>(axis);
      a += first[axis];
      b += second[axis];
      if (++index[at] < shape[axis]) {
        break;
      }
      a -= index[at] * first[axis];
      b -= index[at] * second[axis];
      index[at] = 0;
    }
  }
}

// Bytes of an element, 0 for a type that no kernel here moves.
inline size_t ElementBytes(TfLiteType type) {
  switch (type) {
    case kTfLiteInt8:
    case kTfLiteUInt8:
    case kTfLiteBool:
      return 1;
    case kTfLiteInt16:
      return 2;
    case kTfLiteInt32:
    case kTfLiteFloat32:
      return 4;
    default:
      return 0;
  }
}

// out[i] = in[start + the index's offset] for each index of `shape`.
inline void Gather(const char* in, const Axes& shape, const Axes& strides, int start, size_t bytes, char* out) {
  Walk(shape, strides, StridesOf(shape), [=](int from, int to) {
    std::memcpy(out + static_cast<size_t>(to) * bytes,
                in + static_cast<ptrdiff_t>(start + from) * static_cast<ptrdiff_t>(bytes), bytes);
  });
}

inline bool IsConstant(const TfLiteTensor& tensor) { return tensor.allocation_type == kTfLiteMmapRo; }

// An axis that may be counted from behind. -1 when there is no such one.
inline int ResolvedAxis(int axis, int rank) {
  const int resolved = axis < 0 ? axis + rank : axis;
  return resolved >= 0 && resolved < rank ? resolved : -1;
}

}  // namespace hil::kernels
