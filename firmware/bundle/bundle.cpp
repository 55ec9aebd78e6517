#include "bundle/bundle.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "bundle_meta_decode.h"
#include "zcbor_common.h"

namespace hil {
namespace {

constexpr uint32_t kHeaderBytes = 64;
constexpr uint16_t kFormat = 1;
constexpr char kMagic[4] = {'H', 'I', 'L', 'B'};
constexpr uint32_t kHashBytes = 32;
constexpr uint32_t kModelAlignment = 16;

// Offsets of the header's fields.
enum Field : uint32_t {
  kMagicAt = 0,
  kFormatAt = 4,
  kHeaderSizeAt = 6,
  kTotalSizeAt = 8,
  kMetadataOffsetAt = 12,
  kMetadataSizeAt = 16,
  kModelOffsetAt = 20,
  kModelSizeAt = 24,
  kReservedAt = 28,
  kHashAt = 32,
};

struct Layout {
  uint32_t total;
  Bytes metadata;
  Bytes model;
};

BundleResult Failure(BundleStatus status, uint32_t detail) { return {status, detail}; }

uint32_t Load32(Bytes bytes, size_t at) {
  return static_cast<uint32_t>(bytes[at]) | static_cast<uint32_t>(bytes[at + 1]) << 8 |
         static_cast<uint32_t>(bytes[at + 2]) << 16 | static_cast<uint32_t>(bytes[at + 3]) << 24;
}

uint32_t Load16(Bytes bytes, size_t at) { return static_cast<uint32_t>(bytes[at]) | bytes[at + 1] << 8; }

bool AllEqual(Bytes bytes, uint8_t value) {
  return std::all_of(bytes.begin(), bytes.end(), [value](uint8_t byte) { return byte == value; });
}

BundleResult CheckHeader(Bytes region) {
  if (region.size() < kHeaderBytes) {
    return Failure(BundleStatus::kAbsent, 0);
  }
  const Bytes header = region.first(kHeaderBytes);
  if (AllEqual(header, 0x00) || AllEqual(header, 0xFF)) {
    return Failure(BundleStatus::kAbsent, 0);
  }
  if (std::memcmp(header.data(), kMagic, sizeof(kMagic)) != 0) {
    return Failure(BundleStatus::kMagic, Load32(header, kMagicAt));
  }
  if (Load16(header, kFormatAt) != kFormat) {
    return Failure(BundleStatus::kFormat, Load16(header, kFormatAt));
  }
  if (Load16(header, kHeaderSizeAt) != kHeaderBytes) {
    return Failure(BundleStatus::kHeader, kHeaderSizeAt);
  }
  if (Load32(header, kMetadataOffsetAt) != kHeaderBytes) {
    return Failure(BundleStatus::kHeader, kMetadataOffsetAt);
  }
  if (Load32(header, kReservedAt) != 0) {
    return Failure(BundleStatus::kHeader, kReservedAt);
  }
  return {};
}

BundleResult ReadLayout(Bytes region, Layout* layout) {
  const uint32_t total = Load32(region, kTotalSizeAt);
  if (total < kHeaderBytes || total > region.size()) {
    return Failure(BundleStatus::kSize, total);
  }
  const uint32_t metadata_size = Load32(region, kMetadataSizeAt);
  if (metadata_size == 0 || metadata_size > total - kHeaderBytes) {
    return Failure(BundleStatus::kLayout, kMetadataSizeAt);
  }
  const uint32_t model_offset = Load32(region, kModelOffsetAt);
  if (model_offset % kModelAlignment != 0 || model_offset < kHeaderBytes + metadata_size || model_offset > total) {
    return Failure(BundleStatus::kLayout, kModelOffsetAt);
  }
  const uint32_t model_size = Load32(region, kModelSizeAt);
  if (model_size == 0 || model_size > total - model_offset) {
    return Failure(BundleStatus::kLayout, kModelSizeAt);
  }
  layout->total = total;
  layout->metadata = region.subspan(kHeaderBytes, metadata_size);
  layout->model = region.subspan(model_offset, model_size);
  return {};
}

BundleResult CheckHash(Bytes whole, Sha256Digest* hash) {
  static constexpr uint8_t kZeros[kHashBytes] = {};
  Sha256 sha;
  sha.Update(whole.first(kHashAt));
  sha.Update(Bytes(kZeros, kHashBytes));
  sha.Update(whole.subspan(kHeaderBytes, whole.size() - kHeaderBytes));
  *hash = sha.Finish();
  if (std::memcmp(hash->data(), whole.data() + kHashAt, kHashBytes) != 0) {
    const auto& h = *hash;
    return Failure(BundleStatus::kHash, static_cast<uint32_t>(h[0]) << 24 | static_cast<uint32_t>(h[1]) << 16 |
                                            static_cast<uint32_t>(h[2]) << 8 | h[3]);
  }
  return {};
}

// Of one item, and the bytes behind it.
template <typename Item>
BundleResult DecodeItem(int (*decode)(const uint8_t*, size_t, Item*, size_t*), Bytes bytes, Item* item, Bytes* rest) {
  size_t used = 0;
  const int error = decode(bytes.data(), bytes.size(), item, &used);
  if (error != ZCBOR_SUCCESS) {
    return Failure(BundleStatus::kMetadata, static_cast<uint32_t>(error));
  }
  *rest = bytes.subspan(used, bytes.size() - used);
  return {};
}

// Static: the codec's structures are too much for a stack. One at a time is in use.
union {
  bundle_meta meta;
  bundle_further_r further;
} decoded;

Text ToText(const zcbor_string& string) { return Text(reinterpret_cast<const char*>(string.value), string.len); }

TensorContract ToContract(const tensor& wire) {
  TensorContract contract;
  contract.type = static_cast<uint8_t>(wire.tensor_type);
  contract.rank = wire.tensor_shape_dimension_count;
  std::copy_n(wire.tensor_shape_dimension, contract.rank, contract.shape.begin());
  contract.scale = wire.tensor_scale;
  contract.zero_point = wire.tensor_zero_point;
  contract.bytes = wire.tensor_bytes;
  return contract;
}

void CopyInput(const window_part& window, const gate_part& gate, const prepare_part& prepare, const tensor& input,
               InputPart* part) {
  part->window = {static_cast<ElementType>(window.window_part_type), window.window_part_samples,
                  window.window_part_channels};
  part->gate = {gate.gate_part_minimum, gate.gate_part_maximum, gate.gate_part_min_span};
  part->prepare_parameters.channel_count = prepare.prepare_part_channels_channel_m_count;
  for (size_t c = 0; c < prepare.prepare_part_channels_channel_m_count; ++c) {
    const channel& wire = prepare.prepare_part_channels_channel_m[c];
    part->prepare_parameters.channels[c] = {static_cast<uint8_t>(wire.channel_source), wire.channel_offset,
                                            wire.channel_gain};
  }
  part->prepare_parameters.factor = prepare.prepare_part_factor;
  part->input = ToContract(input);
}

void CopyMetadata(const bundle_meta& meta, Bundle* bundle) {
  bundle->name = ToText(meta.bundle_meta_case);
  bundle->version = meta.bundle_meta_version;
  CopyInput(meta.bundle_meta_window, meta.bundle_meta_gate, meta.bundle_meta_prepare, meta.bundle_meta_input, bundle);
  const decide_part& decide = meta.bundle_meta_decide;
  bundle->decide_parameters = {decide.decide_part_threshold, decide.decide_part_release, decide.decide_part_debounce,
                               decide.decide_part_cooldown};
  bundle->output = ToContract(meta.bundle_meta_output);
  bundle->label_count = meta.bundle_meta_labels_label_count;
  for (size_t i = 0; i < bundle->label_count; ++i) {
    bundle->labels[i] = ToText(meta.bundle_meta_labels_label[i]);
  }
  bundle->arena_bytes = meta.bundle_meta_arena_bytes;
  bundle->keeps_state = meta.bundle_meta_state_present && meta.bundle_meta_state.bundle_meta_state;
}

BundleResult CheckWindow(const WindowFormat& window, uint32_t limit) {
  const uint64_t elements = WindowElements(window);
  const uint32_t size = ElementBytes(window.type);
  const uint64_t bytes = elements > UINT32_MAX ? UINT64_MAX : elements * size;
  if (bytes == 0 || bytes > limit) {
    return Failure(BundleStatus::kWindow, static_cast<uint32_t>(std::min<uint64_t>(bytes, UINT32_MAX)));
  }
  return {};
}

BundleResult CheckGate(const GateParameters& gate) {
  if (!std::isfinite(gate.minimum)) {
    return Failure(BundleStatus::kGate, 0);
  }
  if (!std::isfinite(gate.maximum) || gate.minimum > gate.maximum) {
    return Failure(BundleStatus::kGate, 1);
  }
  if (!std::isfinite(gate.min_span) || gate.min_span < 0.0f) {
    return Failure(BundleStatus::kGate, 2);
  }
  return {};
}

bool SameName(const char* name, const zcbor_string& wanted) {
  return std::strlen(name) == wanted.len && std::memcmp(name, wanted.value, wanted.len) == 0;
}

// Looks a stage up by id and version. `*stage` is null when there is none; then `*known_id` says whether the id exists.
template <typename Stage>
void FindStage(Span<const Stage> stages, const zcbor_string& id, uint32_t version, const Stage** stage,
               bool* known_id) {
  *stage = nullptr;
  *known_id = false;
  for (const Stage& candidate : stages) {
    if (SameName(candidate.id, id)) {
      *known_id = true;
      if (candidate.version == version) {
        *stage = &candidate;
      }
    }
  }
}

BundleResult CheckPrepare(const prepare_part& wire, uint32_t limit, InputPart* part) {
  bool known_id;
  FindStage(PrepareStages(), wire.prepare_part_id, wire.prepare_part_version, &part->prepare, &known_id);
  if (!known_id) {
    return Failure(BundleStatus::kPrepareId, 0);
  }
  if (part->prepare == nullptr) {
    return Failure(BundleStatus::kPrepareVersion, wire.prepare_part_version);
  }
  const PrepareStage& stage = *part->prepare;
  const ElementType tensor = part->input.element();
  if (!Holds(stage.windows, part->window.type) || (stage.same_type && part->window.type != tensor)) {
    return Failure(BundleStatus::kPrepareWindow, static_cast<uint32_t>(part->window.type));
  }
  if (!Holds(stage.tensors, tensor)) {
    return Failure(BundleStatus::kPrepareTensor, part->input.type);
  }
  part->prepare_run = tensor == ElementType::kInt8 ? stage.run_int8 : stage.run_any;
  uint32_t index = 0;
  if (!stage.valid(part->prepare_parameters, part->window, &index)) {
    return Failure(BundleStatus::kPrepareParameters, index);
  }
  const uint64_t elements = stage.elements(part->prepare_parameters, part->window);
  if (elements != Elements(part->input) || elements > limit / ElementBytes(tensor)) {
    return Failure(BundleStatus::kPrepareSize, static_cast<uint32_t>(elements));
  }
  return {};
}

BundleResult CheckDecide(const decide_part& wire, Bundle* bundle) {
  bool known_id;
  FindStage(DecideStages(), wire.decide_part_id, wire.decide_part_version, &bundle->decide, &known_id);
  if (!known_id) {
    return Failure(BundleStatus::kDecideId, 0);
  }
  if (bundle->decide == nullptr) {
    return Failure(BundleStatus::kDecideVersion, wire.decide_part_version);
  }
  if (!Holds(bundle->decide->outputs, bundle->output.element())) {
    return Failure(BundleStatus::kDecideOutput, bundle->output.type);
  }
  bundle->decide_run = bundle->decide->run;
  if (bundle->decide_parameters.release > bundle->decide_parameters.threshold) {
    return Failure(BundleStatus::kDecideParameters, 0);
  }
  if (bundle->decide_parameters.debounce == 0) {
    return Failure(BundleStatus::kDecideParameters, 1);
  }
  const uint64_t wanted = bundle->decide->labels ? Elements(bundle->output) : 0;
  if (bundle->label_count != wanted || (bundle->decide->labels && wanted == 0)) {
    return Failure(BundleStatus::kLabels, static_cast<uint32_t>(bundle->label_count));
  }
  return {};
}

BundleResult CheckInput(const prepare_part& wire, const BundleLimits& limits, InputPart* part) {
  BundleResult result = CheckWindow(part->window, limits.window_bytes);
  if (result.ok()) {
    result = CheckGate(part->gate);
  }
  if (result.ok()) {
    result = CheckPrepare(wire, limits.prepared_bytes, part);
  }
  return result;
}

BundleResult CheckMeaning(const bundle_meta& meta, const BundleLimits& limits, Bundle* bundle) {
  BundleResult result = CheckInput(meta.bundle_meta_prepare, limits, bundle);
  if (result.ok()) {
    result = CheckDecide(meta.bundle_meta_decide, bundle);
  }
  if (result.ok() && (bundle->arena_bytes == 0 || bundle->arena_bytes > limits.arena_bytes)) {
    result = Failure(BundleStatus::kArenaLimit, limits.arena_bytes);
  }
  return result;
}

}  // namespace

uint64_t Elements(const TensorContract& tensor) {
  uint64_t elements = 1;
  for (size_t i = 0; i < tensor.rank; ++i) {
    if (tensor.shape[i] != 0 && elements > UINT64_MAX / tensor.shape[i]) {
      return UINT64_MAX;
    }
    elements *= tensor.shape[i];
  }
  return elements;
}

BundleResult ParseBundle(Bytes region, const BundleLimits& limits, Bundle* bundle, Bytes* further) {
  bundle_meta& meta = decoded.meta;
  Layout layout{};
  BundleResult result = CheckHeader(region);
  if (result.ok()) {
    result = ReadLayout(region, &layout);
  }
  if (result.ok()) {
    result = CheckHash(region.first(layout.total), &bundle->hash);
  }
  if (!result.ok()) {
    return result;
  }
  bundle->model = layout.model;
  Sha256 sha;
  sha.Update(layout.model);
  bundle->model_hash = sha.Finish();

  result = DecodeItem(cbor_decode_bundle_meta, layout.metadata, &meta, further);
  if (!result.ok()) {
    return result;
  }
  CopyMetadata(meta, bundle);
  return CheckMeaning(meta, limits, bundle);
}

BundleResult ParseFurther(Bytes* items, const BundleLimits& limits, FurtherItem* item) {
  bundle_further_r& read = decoded.further;
  const BundleResult result = DecodeItem(cbor_decode_bundle_further, *items, &read, items);
  if (!result.ok()) {
    return result;
  }
  if (read.bundle_further_choice == bundle_further_r::bundle_further_further_output_m_c) {
    const output_part& wire = read.bundle_further_further_output_m.further_output_output;
    item->kind = FurtherItem::Kind::kOutput;
    item->output = {wire.output_part_index, ToContract(wire.output_part_tensor)};
    return {};
  }
  if (read.bundle_further_choice == bundle_further_r::bundle_further_further_state_m_c) {
    const state_part& wire = read.bundle_further_further_state_m.further_state_state;
    item->kind = FurtherItem::Kind::kState;
    item->state = {static_cast<uint8_t>(wire.state_part_output), static_cast<uint8_t>(wire.state_part_input)};
    return {};
  }
  const input_part& wire = read.bundle_further_further_input_m.further_input_input;
  item->kind = FurtherItem::Kind::kInput;
  CopyInput(wire.input_part_window, wire.input_part_gate, wire.input_part_prepare, wire.input_part_tensor, item->input);
  return CheckInput(wire.input_part_prepare, limits, item->input);
}

BundleResult CompareTensor(const TensorContract& contract, const TensorContract& actual, BundleStatus first) {
  const auto code = [first](uint32_t step) { return static_cast<BundleStatus>(static_cast<uint32_t>(first) + step); };
  if (actual.type != contract.type) {
    return Failure(code(0), actual.type);
  }
  const size_t common = std::min(actual.rank, contract.rank);
  const auto differs = std::mismatch(actual.shape.begin(), actual.shape.begin() + common, contract.shape.begin());
  const auto dimension = static_cast<uint32_t>(differs.first - actual.shape.begin());
  if (dimension < common || actual.rank != contract.rank) {
    return Failure(code(1), dimension);
  }
  uint32_t actual_scale;
  uint32_t contract_scale;
  std::memcpy(&actual_scale, &actual.scale, sizeof(actual_scale));
  std::memcpy(&contract_scale, &contract.scale, sizeof(contract_scale));
  if (actual_scale != contract_scale) {
    return Failure(code(2), actual_scale);
  }
  if (actual.zero_point != contract.zero_point) {
    return Failure(code(3), static_cast<uint32_t>(actual.zero_point));
  }
  if (actual.bytes != contract.bytes) {
    return Failure(code(4), actual.bytes);
  }
  return {};
}

}  // namespace hil
