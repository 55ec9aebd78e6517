// The types that the elements of windows and tensors have, and what the firmware must know of each. What depends on a
// type asks here, unless it is made for int8 alone, which is what most models are.
#pragma once

#include <cstdint>
#include <cstring>
#include <limits>

#include "base/span.h"

namespace hil {

// Numbers of TensorType in the TFLite schema.
enum class ElementType : uint8_t { kFloat32 = 0, kInt32 = 2, kUint8 = 3, kInt16 = 7, kInt8 = 9 };

// lowest, highest: ranks of the ends of the type; of float32 those of the infinities.
struct ElementFacts {
  int32_t lowest;
  int32_t highest;
  uint32_t bytes;  // 0: there is no such type here
};

// By the number of the type.
inline constexpr ElementFacts kElementTypes[] = {
    {-0x7F800000, 0x7F800000, 4},                                                   // float32
    {},                                                                             //
    {std::numeric_limits<int32_t>::min(), std::numeric_limits<int32_t>::max(), 4},  // int32
    {0, 255, 1},                                                                    // uint8
    {},                                                                             //
    {},                                                                             //
    {},                                                                             //
    {-32768, 32767, 2},                                                             // int16
    {},                                                                             //
    {-128, 127, 1},                                                                 // int8
};

constexpr const ElementFacts& Facts(ElementType type) {
  constexpr size_t kTypes = sizeof(kElementTypes) / sizeof(kElementTypes[0]);
  constexpr size_t kNone = 1;
  const auto number = static_cast<size_t>(type);
  return kElementTypes[number < kTypes ? number : kNone];
}

constexpr uint32_t ElementBytes(ElementType type) { return Facts(type).bytes; }

// A set of types: the bit with a type's number.
using ElementSet = uint16_t;

constexpr ElementSet SetOf(ElementType type) { return static_cast<ElementSet>(1u << static_cast<uint8_t>(type)); }

constexpr bool Holds(ElementSet set, ElementType type) {
  return static_cast<uint8_t>(type) < 16 && (set >> static_cast<uint8_t>(type) & 1) != 0;
}

constexpr ElementSet kQuantised = SetOf(ElementType::kInt8) | SetOf(ElementType::kUint8) | SetOf(ElementType::kInt16);
constexpr ElementSet kFloat = SetOf(ElementType::kFloat32);
constexpr ElementSet kAnyType = kQuantised | kFloat | SetOf(ElementType::kInt32);

// Element `index` of a window or a tensor; the bytes need no alignment. Little-endian, as all targets are.
template <typename T>
T LoadElement(Bytes elements, size_t index) {
  T value;
  std::memcpy(&value, elements.data() + index * sizeof(T), sizeof(T));
  return value;
}

// A 32-bit integer that grows with the float whose bits these are, the same for both zeros (docs/pipeline.md). What is
// no number lies beyond the infinities.
constexpr int32_t RankOfFloat(int32_t bits) {
  // Of two's complement: 0x80000000 - bits, which never overflows here.
  return bits >= 0 ? bits : std::numeric_limits<int32_t>::min() - bits;
}

// The order of element `index` as a 32-bit integer: of an integer its value.
int32_t RankAt(ElementType type, Bytes elements, size_t index);

}  // namespace hil
