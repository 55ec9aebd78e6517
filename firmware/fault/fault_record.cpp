#include "fault/fault_record.h"

#include "port/port.h"

// Volatile: the host reads it, and nothing here reads it back.
extern "C" {
__attribute__((section(".hil_shared"), used, aligned(8))) volatile uint32_t hil_fault_record[18];
}

namespace hil {

Progress progress = {0, Activity::kStart};

void PublishFault(FaultKind kind, const FaultRecord& record) {
  const uint32_t words[18] = {
      0,
      static_cast<uint32_t>(kind),
      progress.request,
      static_cast<uint32_t>(progress.activity),
      record.r0,
      record.r1,
      record.r2,
      record.r3,
      record.r12,
      record.lr,
      record.pc,
      record.xpsr,
      record.cfsr,
      record.hfsr,
      record.mmfar,
      record.bfar,
      record.stack_pointer,
      record.exc_return,
  };
  for (int i = 0; i < 18; ++i) {
    hil_fault_record[i] = words[i];
  }
  port::MemoryBarrier();
  hil_fault_record[0] = kFaultMagic;
  port::MemoryBarrier();
}

}  // namespace hil
