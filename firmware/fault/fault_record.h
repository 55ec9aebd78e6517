// What a dying firmware leaves for the host (docs/link.md), and what it was doing.
#pragma once

#include <cstdint>

#include "base/span.h"

namespace hil {

enum class FaultKind : uint32_t {
  kHardFault = 1,
  kMemoryManagement = 2,
  kBus = 3,
  kUsage = 4,
  kDeadline = 5,
  kStackOverflow = 6,
  kArenaCanary = 7,
  kAbort = 8,
  kSanitizer = 9,
};

enum class Activity : uint32_t { kIdle = 0, kGate = 1, kPrepare = 2, kInvoke = 3, kDecide = 4, kAgent = 5, kStart = 6 };

// The layout is part of the protocol.
struct FaultRecord {
  uint32_t magic;
  uint32_t kind;
  uint32_t request;
  uint32_t activity;
  uint32_t r0, r1, r2, r3, r12, lr, pc, xpsr;
  uint32_t cfsr, hfsr, mmfar, bfar;
  uint32_t stack_pointer;
  uint32_t exc_return;
};
static_assert(sizeof(FaultRecord) == 18 * 4, "docs/link.md");

constexpr uint32_t kFaultMagic = 0x464C5431;

// Kept up to date while the firmware works; a fault copies it into the record.
struct Progress {
  volatile uint32_t request;
  volatile Activity activity;
};
extern Progress progress;

// Publishes `record` at hil_fault_record: fills in magic and progress, the magic last. Safe in any handler.
void PublishFault(FaultKind kind, const FaultRecord& record);

}  // namespace hil
