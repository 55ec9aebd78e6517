// The yardstick of benchmarks/measure.py: the model of a bundle in a bare loop over inputs that the host has laid into
// RAM. No test mode, no link, no product around it; only the same engine, model and arena.
#include <cstring>

#include "app/host_link.h"
#include "bundle/bundle.h"
#include "fault/fault_record.h"
#include "memory/arena.h"
#include "port/port.h"
#include "tflm/engine.h"

extern "C" {
// The host fills the first four words before the start and waits for `inferences`.
struct hil_bare_loop_order {
  uint32_t inputs;         // address of the first input tensor
  uint32_t count;          // how many there are, one behind the other
  uint32_t runs;           // inferences to do, taking the inputs in turn
  uint32_t go;             // 1: begin
  uint32_t inferences;     // written when all are done
  uint32_t bundle_status;  // written at the start
};
__attribute__((section(".hil_shared"), used, aligned(8))) volatile hil_bare_loop_order hil_bare_loop;
}

namespace hil {
namespace {

Arena arena;
Bundle bundle;

bool SetUp(Span<uint8_t>* input) {
  Bytes further;  // of models with several tensors, which do not run here
  const BundleResult result =
      ParseBundle(port::BundleRegion(), {~uint32_t{0}, ~uint32_t{0}, kArenaBytes}, &bundle, &further);
  const bool ready = result.ok() && EngineCheckModel(bundle.model).ok() &&
                     EngineInit(bundle.model, arena.Prepare(kArenaBytes)).ok() && EngineHas(1, 1).ok();
  hil_bare_loop.bundle_status = ready ? 0 : 1;
  if (ready) {
    *input = EngineInput(0).data;
  }
  return ready;
}

}  // namespace

void AppMain() {
  Span<uint8_t> input;
  hil_bare_loop.inferences = 0;
  const bool ready = SetUp(&input);
  OpenLink();  // tells the host that the firmware is up
  while (hil_bare_loop.go == 0) {
  }
  uint32_t done = 0;
  for (uint32_t at = 0; ready && done < hil_bare_loop.runs; ++done, at = (at + 1) % hil_bare_loop.count) {
    std::memcpy(input.data(), reinterpret_cast<const void*>(hil_bare_loop.inputs + at * input.size()), input.size());
    EngineInvoke();
  }
  port::MemoryBarrier();
  hil_bare_loop.inferences = done;
  for (uint32_t polls = 0;; ++polls) {
    port::Idle(polls);
  }
}

}  // namespace hil
