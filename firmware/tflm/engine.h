// The inference engine as the firmware sees it: no type of TensorFlow Lite Micro appears here, so that another vintage
// (or another runtime) is another .cpp file. There is one engine, because there is one arena.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/span.h"
#include "tflm/operator_log.h"

namespace hil {

enum class EngineStatus : uint8_t {
  kOk,
  kNotAFlatbuffer,       // the verifier refuses it, or an index in it points nowhere
  kSchemaVersion,        // detail: version found
  kSubgraphs,            // not exactly one; detail: how many
  kUnsupportedOperator,  // detail: builtin operator code
  kArenaTooSmall,        // the tensors do not fit
  kOperatorRefused,      // an operator does not accept its parameters
  kInputsOutputs,        // not as many as wanted; detail: inputs * 256 + outputs
  kInvokeFailed,
};

struct EngineResult {
  EngineStatus status = EngineStatus::kOk;
  uint32_t detail = 0;
  bool ok() const { return status == EngineStatus::kOk; }
};

struct EngineTensor {
  uint8_t type = 0;       // TensorType of the TFLite schema
  Span<const int> shape;  // in the model's or the engine's memory
  float scale = 0.0f;
  int32_t zero_point = 0;
  Span<uint8_t> data;  // in the arena
};

// Builtin operator codes that this firmware can run.
Span<const uint8_t> EngineOperators();

// Whether the model can be run at all; uses no arena. `model` must be aligned to 16 bytes and stay where it is.
EngineResult EngineCheckModel(Bytes model);

// Sets the model up in `arena`: aligned to 16 bytes, a multiple of 16 long. The model has passed EngineCheckModel().
// With `arena` smaller than EngineSmallestArena() the kernels of this vintage may write through a null pointer,
// so ask for that first. May be called again with another arena.
EngineResult EngineInit(Bytes model, Span<uint8_t> arena);

// The smallest arena, in bytes and a multiple of 16, in which EngineInit() succeeds for the model that it just set up
// in `arena`. Found by trying. The engine must be set up again afterwards.
uint32_t EngineSmallestArena(Bytes model, Span<uint8_t> arena);

// After EngineInit(): what the engine says it uses, and the part of the arena that it does not.
uint32_t EngineArenaUsed();
Span<uint8_t> EngineArenaUnused();

// After EngineInit(): all of them, in the order of the model.
size_t EngineInputs();
size_t EngineOutputs();
EngineTensor EngineInput(size_t index);
EngineTensor EngineOutput(size_t index);

// After EngineInit(): ok, or kInputsOutputs when the model has other numbers of them.
inline EngineResult EngineHas(size_t inputs, size_t outputs) {
  if (inputs == EngineInputs() && outputs == EngineOutputs()) {
    return {};
  }
  return {EngineStatus::kInputsOutputs, static_cast<uint32_t>(EngineInputs() * 256 + EngineOutputs())};
}

EngineResult EngineInvoke();

// After EngineInit(): whether what the model keeps in variable tensors and resource variables lasts from one
// EngineInvoke() to the next, until EngineForget(). It does not unless this says so.
void EngineKeepState(bool keep);

// After EngineInit(): sets it back to what it was before the first run.
void EngineForget();

// Between these two, EngineInvoke() also notes in `log` when each operator begins and ends on the port's clock, which
// the caller has started. Outside them it is what it was: not one instruction more. `log` must stay valid.
void EngineProfileStart(OperatorLog* log);
void EngineProfileStop();

}  // namespace hil
