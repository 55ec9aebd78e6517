// Runs many small models, one after the other, on inputs that the host has laid into RAM, and leaves their outputs
// there: what tests/kernels holds against the oracle. No link, no test mode, no product.
#include <cstring>

#include "app/host_link.h"
#include "memory/arena.h"
#include "port/port.h"
#include "tflm/engine.h"

extern "C" {
// The host fills the first four words before the start and waits for `done`.
struct hil_kernel_bench_order {
  uint32_t jobs;         // address of the first job
  uint32_t count;        // how many there are, one behind the other
  uint32_t arena_bytes;  // of each
  uint32_t go;           // 1: begin
  uint32_t done;         // jobs that have ended
};
__attribute__((section(".hil_shared"), used, aligned(8))) volatile hil_kernel_bench_order hil_kernel_bench;
}

namespace hil {
namespace {

// status: 0 when it went well, else 1 + EngineStatus, or kUnsteady; detail: of the engine.
struct Job {
  uint32_t model;        // address
  uint32_t model_bytes;  //
  uint32_t inputs;       // address of `windows` times all input tensors, without gaps
  uint32_t outputs;      // the same for the outputs, written here
  uint32_t windows;      //
  uint32_t stream;       // 1: the model keeps its state from window to window
  uint32_t status;
  uint32_t detail;
};
// The outputs depend on what the arena held before.
constexpr uint32_t kUnsteady = 100;

Arena arena;

template <typename T>
T* At(uint32_t address) {
  return reinterpret_cast<T*>(static_cast<uintptr_t>(address));
}

// All windows on an arena that holds `fill`. compare: whether the outputs are held to those that lie there.
uint32_t Run(Job* job, uint8_t fill, bool compare) {
  const Span<uint8_t> memory = arena.Prepare(hil_kernel_bench.arena_bytes);
  std::memset(memory.data(), fill, memory.size());
  const Bytes model(At<const uint8_t>(job->model), job->model_bytes);
  EngineResult result = EngineCheckModel(model);
  if (result.ok()) {
    result = EngineInit(model, memory);
  }
  EngineKeepState(job->stream != 0);
  const uint8_t* in = At<const uint8_t>(job->inputs);
  uint8_t* out = At<uint8_t>(job->outputs);
  bool steady = true;
  for (uint32_t window = 0; result.ok() && window < job->windows; ++window) {
    for (size_t i = 0; i < EngineInputs(); ++i) {
      const Span<uint8_t> tensor = EngineInput(i).data;
      std::memcpy(tensor.data(), in, tensor.size());
      in += tensor.size();
    }
    result = EngineInvoke();
    for (size_t i = 0; i < EngineOutputs(); ++i) {
      const Span<uint8_t> tensor = EngineOutput(i).data;
      steady = steady && (!compare || std::memcmp(out, tensor.data(), tensor.size()) == 0);
      std::memcpy(out, tensor.data(), tensor.size());
      out += tensor.size();
    }
  }
  job->detail = result.detail;
  return !result.ok() ? 1 + static_cast<uint32_t>(result.status) : steady ? 0 : kUnsteady;
}

void RunTwice(Job* job) {
  constexpr uint8_t kFirst = 0x5A;
  constexpr uint8_t kSecond = 0xA5;
  job->status = Run(job, kFirst, false);
  if (job->status == 0) {
    job->status = Run(job, kSecond, true);
  }
  if (arena.CheckCanaries() != kCanariesWhole) {
    job->status = kUnsteady + 1;
  }
}

}  // namespace

void AppMain() {
  hil_kernel_bench.done = 0;
  OpenLink();  // tells the host that the firmware is up
  while (hil_kernel_bench.go == 0) {
  }
  Job* job = At<Job>(hil_kernel_bench.jobs);
  for (uint32_t number = 0; number < hil_kernel_bench.count; ++number, ++job) {
    RunTwice(job);
    port::MemoryBarrier();
    hil_kernel_bench.done = number + 1;
  }
  for (uint32_t polls = 0;; ++polls) {
    port::Idle(polls);
  }
}

}  // namespace hil
