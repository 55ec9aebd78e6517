#include "memory/stack.h"

#include "memory/pattern.h"
#include "port/port.h"

namespace hil {
namespace {

// Part of the protocol (docs/link.md, "What the harness reads itself").
constexpr uint32_t kPaint = 0x5AC3B19Du;

}  // namespace

void PaintStack(Span<uint32_t> unused) { Paint(unused, kPaint); }

uint32_t StackHighWater() {
  const Span<uint32_t> stack = port::Stack();
  return static_cast<uint32_t>((stack.size() - CountPainted(stack, kPaint)) * sizeof(uint32_t));
}

}  // namespace hil
