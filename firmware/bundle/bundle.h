// The bundle: what is provisioned beside the firmware for one case, checked before anything uses it
// (docs/bundle-format.md).
#pragma once

#include <array>
#include <cstdint>

#include "base/span.h"
#include "bundle/sha256.h"
#include "pipeline/decide.h"
#include "pipeline/gate.h"
#include "pipeline/prepare.h"
#include "pipeline/window.h"

namespace hil {

// The codes of docs/bundle-format.md.
enum class BundleStatus : uint16_t {
  kOk = 0,
  kAbsent = 1,
  kMagic = 2,
  kFormat = 3,
  kHeader = 4,
  kSize = 5,
  kLayout = 6,
  kHash = 7,
  kMetadata = 8,
  kWindow = 10,
  kGate = 11,
  kPrepareId = 12,
  kPrepareVersion = 13,
  kPrepareWindow = 14,
  kPrepareParameters = 15,
  kPrepareSize = 16,
  kDecideId = 17,
  kDecideVersion = 18,
  kDecideParameters = 19,
  kLabels = 20,
  kArenaLimit = 21,
  kPrepareTensor = 22,
  kDecideOutput = 23,
  kSeveralTensors = 24,
  kStatePair = 25,
  kModelFlatbuffer = 30,
  kModelSchema = 31,
  kModelSubgraphs = 32,
  kModelOperator = 33,
  kModelArena = 34,
  kModelPrepare = 35,
  kModelIo = 36,
  kInputType = 40,  // then shape, scale, zero point, bytes
  kOutputType = 45,
};

struct BundleResult {
  BundleStatus status = BundleStatus::kOk;
  uint32_t detail = 0;
  bool ok() const { return status == BundleStatus::kOk; }
};

constexpr size_t kMaxLabels = 64;
constexpr size_t kMaxRank = 6;

// What a tensor must look like, or looks like.
struct TensorContract {
  uint8_t type = 0;  // TensorType of the TFLite schema
  ElementType element() const { return static_cast<ElementType>(type); }
  std::array<uint32_t, kMaxRank> shape{};
  size_t rank = 0;
  float scale = 0.0f;
  int32_t zero_point = 0;
  uint32_t bytes = 0;
};

// Product of the dimensions; all ones of 64 bits when it does not fit.
uint64_t Elements(const TensorContract& tensor);

// A window and the input tensor that it becomes.
struct InputPart {
  WindowFormat window{};
  GateParameters gate{};
  const PrepareStage* prepare = nullptr;
  PrepareRun prepare_run = nullptr;  // of the stage, for the input tensor's type
  PrepareParameters prepare_parameters{};
  TensorContract input;
};

// Text and model point into the bundle's region. Fields that come after the failing check are not valid.
struct Bundle : InputPart {
  Sha256Digest hash{};
  Sha256Digest model_hash{};
  Text name;
  uint32_t version = 0;
  const DecideStage* decide = nullptr;
  DecideRun decide_run = nullptr;  // of the stage, for the output tensor's type
  DecideParameters decide_parameters{};
  bool keeps_state = false;  // the model's state lasts from window to window of a stream
  TensorContract output;
  std::array<Text, kMaxLabels> labels{};
  size_t label_count = 0;
  uint32_t arena_bytes = 0;
  Bytes model;
};

struct BundleLimits {
  uint32_t window_bytes;    // longest window that a frame can carry
  uint32_t prepared_bytes;  // longest input tensor that the test mode keeps, in bytes
  uint32_t arena_bytes;     // the static arena
};

// Reads and checks everything but the model itself (codes 0 to 23). `further`: the items of further tensors, which are
// not looked at yet.
BundleResult ParseBundle(Bytes region, const BundleLimits& limits, Bundle* bundle, Bytes* further);

// An output beside the one that is decided on, at `index` among the model's.
struct OutputPart {
  uint32_t index = 0;
  TensorContract tensor;
};

// An output that the product carries to an input before the next window of a stream: their places among the model's.
struct StatePart {
  uint8_t output = 0;
  uint8_t input = 0;
};

// An item of a further tensor; `kind` says which of the others was filled in. The input is the caller's: it is large.
struct FurtherItem {
  enum class Kind : uint8_t { kInput, kOutput, kState } kind = Kind::kInput;
  InputPart* input = nullptr;
  OutputPart output;
  StatePart state;
};

// Reads and checks the next item of a further tensor (codes 8 to 16 and 22), and leaves the rest of them in `items`. Of
// `limits` the bytes that are left count.
BundleResult ParseFurther(Bytes* items, const BundleLimits& limits, FurtherItem* item);

// Codes 40 to 44 (`first` kInputType) or 45 to 49 (kOutputType): whether the model's tensor is the contract's.
BundleResult CompareTensor(const TensorContract& contract, const TensorContract& actual, BundleStatus first);

}  // namespace hil
