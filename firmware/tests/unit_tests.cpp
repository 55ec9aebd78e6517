// Tests of single units on the host, under the sanitizers. Expected values come from standards, from published examples
// or from arithmetic done by hand from docs/pipeline.md and docs/bundle-format.md, never from the code under test.
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "base/span.h"
#include "bundle/bundle.h"
#include "bundle/sha256.h"
#include "bundle_meta_encode.h"
#include "memory/arena.h"
#include "pipeline/decide.h"
#include "pipeline/gate.h"
#include "pipeline/prepare.h"
#include "tests/check.h"
#include "tflm/operator_log.h"

namespace hil {
namespace {

Bytes ToBytes(const std::string& text) { return Bytes(reinterpret_cast<const uint8_t*>(text.data()), text.size()); }

template <typename T>
Bytes ToBytes(const std::vector<T>& values) {
  return Bytes(reinterpret_cast<const uint8_t*>(values.data()), values.size() * sizeof(T));
}

// ---- SHA-256: FIPS 180-4's examples
// ----------------------------------------------------------------------------------

std::string HexDigest(const std::string& text, size_t piece) {
  Sha256 sha;
  for (size_t at = 0; at < text.size(); at += piece) {
    sha.Update(ToBytes(text.substr(at, piece)));
  }
  std::string hex;
  for (const uint8_t byte : sha.Finish()) {
    char digits[3];
    std::snprintf(digits, sizeof(digits), "%02x", byte);
    hex += digits;
  }
  return hex;
}

void Sha256MatchesFips() {
  CHECK(HexDigest("", 1) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(HexDigest("abc", 3) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  const std::string two_blocks = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
  CHECK(HexDigest(two_blocks, 7) == "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  const std::string million(1000000, 'a');
  CHECK(HexDigest(million, 977) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

// ---- gate
// ------------------------------------------------------------------------------------------------------------

void GateFollowsTheOrderOfItsRules() {
  Gate gate;
  gate.Configure({ElementType::kInt16, 3, 2}, {-100.0f, 100.0f, 5.0f});
  using Window = std::vector<int16_t>;
  const Window good = {0, 0, 4, 1, 5, 2};  // spans 5 and 2: one live channel is enough
  CHECK(gate.Check(1, ToBytes(Window{0, 0})) == GateReason::kLength);
  CHECK(gate.Check(1, ToBytes(good)) == GateReason::kValid);  // a wrong length leaves the capture number alone
  CHECK(gate.Check(1, ToBytes(good)) == GateReason::kStale);
  CHECK(gate.Check(2, ToBytes(Window{0, 0, 0, 101, 0, 0})) == GateReason::kRange);
  CHECK(gate.Check(2, ToBytes(good)) == GateReason::kStale);                           // rule 1 had passed
  CHECK(gate.Check(1, ToBytes(Window{-100, 100, 0, 0, 0, 0})) == GateReason::kValid);  // bounds belong to the range
  CHECK(gate.Check(3, ToBytes(Window{0, 0, 4, 4, 4, 4})) == GateReason::kFlat);
}

void GateWatchesFloats() {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  Gate gate;
  gate.Configure({ElementType::kFloat32, 2, 1}, {-1.5f, 1.5f, 0.0f});
  using Window = std::vector<float>;
  CHECK(gate.Check(1, ToBytes(Window{9.0f, kNan})) == GateReason::kNonfinite);  // before the range rule
  CHECK(gate.Check(2, ToBytes(Window{-kInfinity, 0.0f})) == GateReason::kNonfinite);
  CHECK(gate.Check(3, ToBytes(Window{1.5f, 1.6f})) == GateReason::kRange);
  CHECK(gate.Check(4, ToBytes(Window{1.0f, 1.0f})) == GateReason::kValid);  // min_span 0: no flat rule
}

void GateSpanOfFullScaleDoesNotWrap() {
  Gate gate;
  gate.Configure({ElementType::kInt16, 2, 1}, {-32768.0f, 32767.0f, 65535.0f});
  CHECK(gate.Check(1, ToBytes(std::vector<int16_t>{-32768, 32767})) == GateReason::kValid);
  CHECK(gate.Check(2, ToBytes(std::vector<int16_t>{-32767, 32767})) == GateReason::kFlat);
}

// ---- prepare
// ---------------------------------------------------------------------------------------------------------

const PrepareStage& Stage(const char* id) {
  for (const PrepareStage& stage : PrepareStages()) {
    if (std::strcmp(stage.id, id) == 0) {
      return stage;
    }
  }
  std::abort();
}

template <typename Element>
constexpr ElementType kTypeOf = ElementType::kInt8;
template <>
constexpr ElementType kTypeOf<uint8_t> = ElementType::kUint8;
template <>
constexpr ElementType kTypeOf<int16_t> = ElementType::kInt16;
template <>
constexpr ElementType kTypeOf<int32_t> = ElementType::kInt32;
template <>
constexpr ElementType kTypeOf<float> = ElementType::kFloat32;

// What a stage makes of the window, `count` elements.
template <typename Element>
std::vector<Element> Prepared(const char* id, const PrepareParameters& parameters, const WindowFormat& format,
                              Bytes window, int32_t zero_point, size_t count) {
  std::vector<Element> tensor(count);
  (kTypeOf<Element> == ElementType::kInt8 ? Stage(id).run_int8 : Stage(id).run_any)(
      parameters, format, window, kTypeOf<Element>, zero_point,
      Span<uint8_t>(reinterpret_cast<uint8_t*>(tensor.data()), tensor.size() * sizeof(Element)));
  return tensor;
}

template <typename Element = int8_t>
Element Scaled(int16_t count, int32_t offset, int32_t gain, int32_t zero_point) {
  PrepareParameters parameters{};
  parameters.channels[0] = {0, offset, gain};
  parameters.channel_count = 1;
  const std::vector<int16_t> window = {count};
  return Prepared<Element>("scale", parameters, {ElementType::kInt16, 1, 1}, ToBytes(window), zero_point, 1)[0];
}

void ScaleRoundsHalfUpAndClamps() {
  constexpr int32_t kOneLsb = 1 << 16;            // 1 LSB per 32768 counts
  CHECK_EQUAL(Scaled(16384, 0, kOneLsb, 0), 1);   // 0.5 rounds up
  CHECK_EQUAL(Scaled(-16384, 0, kOneLsb, 0), 0);  // -0.5 rounds up, too
  CHECK_EQUAL(Scaled(-16385, 0, kOneLsb, 0), -1);
  CHECK_EQUAL(Scaled(16383, 0, kOneLsb, 7), 7);
  CHECK_EQUAL(Scaled(16384, 16384, 100 * kOneLsb, -3), -3);  // the offset is taken off first
  CHECK_EQUAL(Scaled(32767, 0, 200 * kOneLsb, 0), 127);      // 199.99 is clamped
  CHECK_EQUAL(Scaled(-32768, 0, 200 * kOneLsb, 0), -128);
  CHECK_EQUAL(Scaled(32767, std::numeric_limits<int32_t>::min(), std::numeric_limits<int32_t>::max(), 0), 127);
  CHECK_EQUAL(Scaled(-32768, std::numeric_limits<int32_t>::max(), std::numeric_limits<int32_t>::min(), 0), 127);
}

void ScaleClampsToTheTensorsType() {
  constexpr int32_t kOneLsb = 1 << 16;
  CHECK_EQUAL(Scaled<uint8_t>(16384, 0, kOneLsb, 128), 129);
  CHECK_EQUAL(Scaled<uint8_t>(32767, 0, 200 * kOneLsb, 128), 255);
  CHECK_EQUAL(Scaled<uint8_t>(-32768, 0, 200 * kOneLsb, 128), 0);
  CHECK_EQUAL(Scaled<int16_t>(32767, 0, 200 * kOneLsb, 0), 200);  // no clamp of 8 bits
  CHECK_EQUAL(Scaled<int16_t>(-32768, 0, 32767 * kOneLsb, -5), -32768);
  CHECK_EQUAL(Scaled<int16_t>(32767, -32768, 32767 * kOneLsb, 0), 32767);
}

void ScalePicksItsSourceChannels() {
  PrepareParameters parameters{};
  parameters.channels[0] = {2, 0, 128 << 16};
  parameters.channels[1] = {0, 256, 128 << 16};
  parameters.channel_count = 2;
  const WindowFormat format = {ElementType::kInt16, 2, 3};
  const std::vector<int16_t> window = {256, 9, 512, 1024, 9, -256};  // 256 counts are 1 LSB
  CHECK_EQUAL(Stage("scale").elements(parameters, format), 4);
  const std::vector<int8_t> wanted = {12, 10, 9, 13};
  CHECK(Prepared<int8_t>("scale", parameters, format, ToBytes(window), 10, 4) == wanted);
  uint32_t index = 9;
  parameters.channels[1].source = 3;
  CHECK(!Stage("scale").valid(parameters, format, &index));
  CHECK_EQUAL(index, 1);
}

template <typename Element = int8_t>
Element Quantized(float value, float factor, int32_t zero_point) {
  PrepareParameters parameters{};
  parameters.factor = factor;
  const std::vector<float> window = {value};
  return Prepared<Element>("quantize", parameters, {ElementType::kFloat32, 1, 1}, ToBytes(window), zero_point, 1)[0];
}

void QuantizeRoundsHalfUpAndClamps() {
  CHECK_EQUAL(Quantized(1.25f, 2.0f, 0), 3);    // 2.5
  CHECK_EQUAL(Quantized(-1.25f, 2.0f, 0), -2);  // -2.5
  CHECK_EQUAL(Quantized(-1.26f, 2.0f, 0), -3);  // -2.52
  CHECK_EQUAL(Quantized(1e30f, 2.0f, 0), 127);
  CHECK_EQUAL(Quantized(-1e30f, 2.0f, 0), -128);
  CHECK_EQUAL(Quantized(1e30f, 2.0f, -2000), -128);  // 1024 - 2000: the product is clamped before the zero point
  CHECK_EQUAL(Quantized(0.0f, 2.0f, -128), -128);
}

void QuantizeClampsToTheTensorsType() {
  CHECK_EQUAL(Quantized<uint8_t>(1.25f, 2.0f, 128), 131);
  CHECK_EQUAL(Quantized<uint8_t>(1e30f, 2.0f, 0), 255);
  CHECK_EQUAL(Quantized<uint8_t>(-1e30f, 2.0f, 255), 0);
  CHECK_EQUAL(Quantized<int16_t>(2000.25f, 2.0f, 0), 4001);  // 4000.5, beyond the limit of 8 bits
  CHECK_EQUAL(Quantized<int16_t>(1e30f, 2.0f, -32768), 32767);
  CHECK_EQUAL(Quantized<int16_t>(-1e30f, 2.0f, 32767), -32768);
}

void QuantizeWantsAUsableFactor() {
  uint32_t index = 9;
  for (const float factor : {0.0f, -1.0f, std::numeric_limits<float>::infinity(), std::nanf("")}) {
    PrepareParameters parameters{};
    parameters.factor = factor;
    CHECK(!Stage("quantize").valid(parameters, {}, &index));
  }
}

void TensorPassesThrough() {
  const std::vector<int8_t> window = {-128, 0, 127};
  CHECK(Prepared<int8_t>("tensor", {}, {ElementType::kInt8, 3, 1}, ToBytes(window), 55, 3) == window);
  const std::vector<float> real = {-0.0f, 1e-40f, 3.5f};
  const auto tensor = Prepared<float>("tensor", {}, {ElementType::kFloat32, 3, 1}, ToBytes(real), 0, 3);
  CHECK(std::memcmp(tensor.data(), real.data(), 12) == 0);
}

void StagesSayWhichTensorsTheyMake() {
  for (const ElementType type : {ElementType::kInt8, ElementType::kUint8, ElementType::kInt16}) {
    CHECK(Holds(Stage("tensor").windows, type) && Holds(Stage("tensor").tensors, type));
    CHECK(Holds(Stage("scale").tensors, type) && Holds(Stage("quantize").tensors, type));
  }
  CHECK(Holds(Stage("tensor").tensors, ElementType::kFloat32));
  for (const auto type : {ElementType::kFloat32, ElementType::kInt32, ElementType{6}, ElementType{32}}) {
    CHECK(!Holds(Stage("scale").tensors, type) && !Holds(Stage("quantize").tensors, type));
  }
  CHECK(!Holds(Stage("tensor").tensors, ElementType::kInt32));
}

// ---- element types
// ---------------------------------------------------------------------------------------------------

int32_t Rank(float value) {
  const std::vector<float> values = {value};
  return RankAt(ElementType::kFloat32, ToBytes(values), 0);
}

void RanksGrowWithTheirValues() {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  constexpr float kLeast = std::numeric_limits<float>::denorm_min();
  const float values[] = {-kInfinity, -3e38f, -1.0f, -kLeast, 0.0f, kLeast, 0.5f, 1.0f, 3e38f, kInfinity};
  for (size_t i = 1; i < std::size(values); ++i) {
    CHECK(Rank(values[i - 1]) < Rank(values[i]));
  }
  CHECK_EQUAL(Rank(-0.0f), Rank(0.0f));
  CHECK_EQUAL(Rank(1.0f), 0x3F800000);
  CHECK_EQUAL(Rank(-1.0f), -0x3F800000);
  const ElementFacts real = Facts(ElementType::kFloat32);
  CHECK_EQUAL(Rank(-kInfinity), real.lowest);
  CHECK_EQUAL(Rank(kInfinity), real.highest);
  CHECK(Rank(std::nanf("")) > real.highest && Rank(-std::nanf("")) < real.lowest);
  const std::vector<uint8_t> bytes = {0xFE, 0xFF, 0xFF, 0xFF};
  CHECK_EQUAL(RankAt(ElementType::kUint8, ToBytes(bytes), 0), 254);
  CHECK_EQUAL(RankAt(ElementType::kInt8, ToBytes(bytes), 0), -2);
  CHECK_EQUAL(RankAt(ElementType::kInt16, ToBytes(bytes), 0), -2);
  CHECK_EQUAL(RankAt(ElementType::kInt16, ToBytes(bytes), 1), -1);
  CHECK_EQUAL(RankAt(ElementType::kInt32, ToBytes(bytes), 0), -2);
}

// ---- decide
// ----------------------------------------------------------------------------------------------------------

struct Step {
  std::vector<int8_t> scores;
  int32_t answer;
  DecisionReason reason;
};

void Follow(const DecideParameters& parameters, const std::vector<Step>& steps) {
  DecideState state;
  for (const Step& step : steps) {
    const Decision decision = DecideStages()[0].run(parameters, &state, ElementType::kInt8, ToBytes(step.scores));
    CHECK_EQUAL(decision.answer, step.answer);
    CHECK_EQUAL(decision.reason, step.reason);
  }
}

constexpr auto kAccepted = DecisionReason::kAccepted;
constexpr auto kBelow = DecisionReason::kBelowThreshold;
constexpr auto kDebounced = DecisionReason::kDebounce;
constexpr auto kCooling = DecisionReason::kCooldown;

void ArgmaxTakesTheFirstOfEqualScores() {
  DecideState state;
  const std::vector<int8_t> scores = {-5, 9, 9};
  const Decision decision = DecideStages()[0].run({-129, -129, 1, 0}, &state, ElementType::kInt8, ToBytes(scores));
  CHECK_EQUAL(decision.winner, 1);
  CHECK_EQUAL(decision.score, 9);
  CHECK_EQUAL(decision.answer, 1);
}

template <typename Element>
Decision Decided(const std::vector<Element>& scores, int32_t threshold) {
  DecideState state;
  return DecideStages()[0].run({threshold, threshold, 1, 0}, &state, kTypeOf<Element>, ToBytes(scores));
}

void ArgmaxTakesScoresOfEachType() {
  CHECK_EQUAL(Decided<uint8_t>({127, 200, 0}, 199).answer, 1);
  CHECK_EQUAL(Decided<uint8_t>({127, 200, 0}, 199).score, 200);
  CHECK_EQUAL(Decided<int16_t>({-300, -200}, -201).answer, 1);
  CHECK_EQUAL(Decided<int32_t>({1 << 30, -1}, 1 << 29).score, 1 << 30);
  CHECK_EQUAL(Decided<float>({-2.0f, -1.0f}, Rank(-1.5f)).answer, 1);
  CHECK_EQUAL(Decided<float>({-2.0f, -1.0f}, Rank(-1.0f)).answer, kNoLabel);
  CHECK_EQUAL(Decided<float>({-0.0f, 0.0f}, Rank(-1.0f)).winner, 0);  // equal
}

void ArgmaxDecidesNothingOnWhatIsNoNumber() {
  DecideState state;
  const DecideRun run = DecideStages()[0].run;
  const DecideParameters parameters = {Rank(0.5f), Rank(0.1f), 1, 0};
  const std::vector<float> good = {0.9f, 0.0f};
  const std::vector<float> held = {0.2f, 0.0f};
  const std::vector<float> bad = {1.0f, std::nanf("")};
  CHECK_EQUAL(run(parameters, &state, ElementType::kFloat32, ToBytes(good)).answer, 0);
  const Decision decision = run(parameters, &state, ElementType::kFloat32, ToBytes(bad));
  CHECK_EQUAL(decision.answer, kNoLabel);
  CHECK_EQUAL(decision.winner, kNoLabel);
  CHECK_EQUAL(decision.reason, DecisionReason::kNotANumber);
  CHECK_EQUAL(run(parameters, &state, ElementType::kFloat32, ToBytes(held)).answer, 0);  // the state is as it was
}

void ArgmaxHoldsWithHysteresis() {
  Follow({10, 0, 1, 0}, {{{10, 0}, kNoLabel, kBelow},  // equal is not above
                         {{11, 0}, 0, kAccepted},
                         {{1, 0}, 0, kAccepted},      // active: release counts
                         {{0, 1}, kNoLabel, kBelow},  // another label needs the threshold
                         {{1, 0}, kNoLabel, kBelow},  // and now this one does again
                         {{0, 11}, 1, kAccepted},
                         {{-1, 0}, kNoLabel, kBelow}});  // release itself is not above release
}

void ArgmaxDebounces() {
  Follow({0, 0, 3, 0}, {{{5, 1}, kNoLabel, kDebounced},
                        {{5, 1}, kNoLabel, kDebounced},
                        {{1, 5}, kNoLabel, kDebounced},  // another winner starts over
                        {{1, 5}, kNoLabel, kDebounced},
                        {{1, 5}, 1, kAccepted},
                        {{1, 5}, 1, kAccepted},
                        {{0, 0}, kNoLabel, kBelow},  // forgets the candidate
                        {{1, 5}, kNoLabel, kDebounced}});
}

void ArgmaxCoolsDown() {
  Follow({0, 0, 2, 2}, {{{5, 1}, kNoLabel, kDebounced},
                        {{5, 1}, 0, kAccepted},
                        {{5, 1}, kNoLabel, kCooling},
                        {{0, 0}, kNoLabel, kBelow},  // counts down as well
                        {{1, 5}, kNoLabel, kDebounced},
                        {{1, 5}, 1, kAccepted},
                        {{1, 5}, kNoLabel, kCooling},
                        {{1, 5}, kNoLabel, kCooling},
                        {{1, 5}, 1, kAccepted}});
}

void NoneDecidesNothing() {
  DecideState state;
  const std::vector<int8_t> scores = {100};
  const Decision decision = DecideStages()[1].run({}, &state, ElementType::kInt8, ToBytes(scores));
  CHECK_EQUAL(decision.winner, kNoLabel);
  CHECK_EQUAL(decision.reason, DecisionReason::kNoStage);
}

// ---- arena
// -----------------------------------------------------------------------------------------------------------

void ArenaMeasuresWhatWasWritten() {
  static Arena arena;
  const Span<uint8_t> part = arena.Prepare(4096);
  CHECK_EQUAL(part.size(), 4096);
  CHECK_EQUAL(arena.HighWater(), 0);
  std::memset(part.data(), 1, 100);        // head
  std::memset(part.data() + 4000, 1, 96);  // tail
  CHECK_EQUAL(arena.HighWater(), 196);
  part[103] = 0;  // a write that leaves three bytes alone still counts its whole word
  CHECK_EQUAL(arena.HighWater(), 200);
  part[3000] = 1;  // far off: the longer side stays
  CHECK_EQUAL(arena.HighWater(), 4096 - (3000 - 104));
  part[104] = 1;
  CHECK_EQUAL(arena.HighWater(), 4096 - (3000 - 108));
}

void ArenaFloorIsTheLeastItReports() {
  static Arena arena;
  const Span<uint8_t> part = arena.Prepare(1024);
  std::memset(part.data(), 1, part.size());
  arena.Watch(part.subspan(101, 600), 500);  // 101..700: words from 104 to 699
  CHECK_EQUAL(arena.HighWater(), 500);
  part[696] = 2;
  CHECK_EQUAL(arena.HighWater(), 500);
  part[400] = 2;
  CHECK_EQUAL(arena.HighWater(), 1024 - (400 - 104));
}

void ArenaCanariesNameTheSide() {
  static Arena arena;
  const Span<uint8_t> part = arena.Prepare(2048);
  CHECK_EQUAL(arena.CheckCanaries(), kCanariesWhole);
  part.data()[-1] ^= 1;
  CHECK_EQUAL(arena.CheckCanaries(), kCanaryBelow);
  CHECK_EQUAL(arena.CheckCanaries(), kCanariesWhole);  // restored
  part.data()[2048] ^= 1;
  CHECK_EQUAL(arena.CheckCanaries(), kCanaryAbove);
  part.data()[-1000] ^= 1;
  part.data()[2048 + 1000] ^= 1;
  CHECK_EQUAL(arena.CheckCanaries(), kCanaryBelow | kCanaryAbove);
}

// As two starts of the firmware see it.
void ArenaPaintsEachStartWithTheOtherPattern() {
  static Arena first;
  static Arena second;
  const auto word = [](const Span<uint8_t> part) {
    uint32_t found;
    std::memcpy(&found, part.data(), sizeof(found));
    return found;
  };
  const uint32_t before = word(first.Prepare(1024));
  CHECK_EQUAL(word(first.Prepare(2048)), before);
  CHECK_EQUAL(word(second.Prepare(1024)), ~before);
  CHECK_EQUAL(second.HighWater(), 0);
}

// ---- bundle
// ----------------------------------------------------------------------------------------------------------

zcbor_string Text8(const char* text) { return {reinterpret_cast<const uint8_t*>(text), std::strlen(text)}; }

tensor Int8Tensor(uint32_t elements) {
  tensor t{};
  t.tensor_type = 9;
  t.tensor_shape_dimension[0] = 1;
  t.tensor_shape_dimension[1] = elements;
  t.tensor_shape_dimension_count = 2;
  t.tensor_scale = 0.5f;
  t.tensor_bytes = elements;
  return t;
}

// 4 samples of 2 channels, scaled to 8 elements; 2 labels.
bundle_meta GoodMeta() {
  bundle_meta meta{};
  meta.bundle_meta_case = Text8("unit");
  meta.bundle_meta_version = 1;
  meta.bundle_meta_window = {7, 4, 2};
  meta.bundle_meta_gate = {-100.0f, 100.0f, 0.0f};
  meta.bundle_meta_prepare.prepare_part_id = Text8("scale");
  meta.bundle_meta_prepare.prepare_part_version = 1;
  meta.bundle_meta_prepare.prepare_part_channels_channel_m[0] = {0, 0, 65536};
  meta.bundle_meta_prepare.prepare_part_channels_channel_m[1] = {1, 0, 65536};
  meta.bundle_meta_prepare.prepare_part_channels_channel_m_count = 2;
  meta.bundle_meta_input = Int8Tensor(8);
  meta.bundle_meta_output = Int8Tensor(2);
  meta.bundle_meta_decide = {Text8("argmax"), 1, 10, 5, 1, 0};
  meta.bundle_meta_labels_label[0] = Text8("no");
  meta.bundle_meta_labels_label[1] = Text8("yes");
  meta.bundle_meta_labels_label_count = 2;
  meta.bundle_meta_arena_bytes = 1024;
  return meta;
}

constexpr BundleLimits kLimits = {1000, 500, 2048};

void Store32(std::vector<uint8_t>* bundle, size_t at, uint32_t value) {
  for (int i = 0; i < 4; ++i) {
    (*bundle)[at + i] = static_cast<uint8_t>(value >> (8 * i));
  }
}

void StoreHash(std::vector<uint8_t>* bundle) {
  std::fill(bundle->begin() + 32, bundle->begin() + 64, uint8_t{0});
  Sha256 sha;
  sha.Update(Bytes(bundle->data(), bundle->size()));
  const Sha256Digest digest = sha.Finish();
  std::copy(digest.begin(), digest.end(), bundle->begin() + 32);
}

std::vector<uint8_t> Pack(std::vector<uint8_t> metadata, const std::vector<uint8_t>& model) {
  const auto model_at = static_cast<uint32_t>((64 + metadata.size() + 15) / 16 * 16);
  std::vector<uint8_t> bundle(model_at + model.size());
  const uint8_t head[8] = {'H', 'I', 'L', 'B', 1, 0, 64, 0};
  std::copy(std::begin(head), std::end(head), bundle.begin());
  Store32(&bundle, 8, static_cast<uint32_t>(bundle.size()));
  Store32(&bundle, 12, 64);
  Store32(&bundle, 16, static_cast<uint32_t>(metadata.size()));
  Store32(&bundle, 20, model_at);
  Store32(&bundle, 24, static_cast<uint32_t>(model.size()));
  std::copy(metadata.begin(), metadata.end(), bundle.begin() + 64);
  std::copy(model.begin(), model.end(), bundle.begin() + model_at);
  StoreHash(&bundle);
  return bundle;
}

std::vector<uint8_t> Metadata(const bundle_meta& meta) {
  std::vector<uint8_t> out(4096);
  size_t size = 0;
  CHECK_EQUAL(cbor_encode_bundle_meta(out.data(), out.size(), &meta, &size), 0);
  out.resize(size);
  return out;
}

const std::vector<uint8_t> kModel = {1, 2, 3};

std::vector<uint8_t> GoodBundle() { return Pack(Metadata(GoodMeta()), kModel); }

BundleResult Parse(const std::vector<uint8_t>& bundle) {
  static Bundle parsed;
  // Exactly as long as it is: the sanitizer sees every byte read beyond.
  const std::vector<uint8_t> exact(bundle);
  Bytes further;
  BundleResult result = ParseBundle(Bytes(exact.data(), exact.size()), kLimits, &parsed, &further);
  static InputPart input;
  FurtherItem item;
  item.input = &input;
  while (result.ok() && !further.empty()) {
    result = ParseFurther(&further, kLimits, &item);
  }
  return result;
}

void CheckCode(const std::vector<uint8_t>& bundle, int code, uint32_t detail) {
  const BundleResult result = Parse(bundle);
  CHECK_EQUAL(result.status, code);
  CHECK_EQUAL(result.detail, detail);
}

void BundleIsRead() {
  const std::vector<uint8_t> bytes = GoodBundle();
  Bundle bundle;
  Bytes further;
  CHECK(ParseBundle(Bytes(bytes.data(), bytes.size()), kLimits, &bundle, &further).ok());
  CHECK_EQUAL(bundle.name.size(), 4);
  CHECK_EQUAL(bundle.model.size(), 3);
  CHECK_EQUAL(bundle.model[0], 1);
  CHECK_EQUAL(bundle.label_count, 2);
  CHECK_EQUAL(bundle.labels[1].size(), 3);
  CHECK_EQUAL(bundle.window.channels, 2);
  CHECK_EQUAL(bundle.hash[5], bytes[32 + 5]);
  CHECK(further.empty());
}

bundle_further_r FurtherInputItem() {
  const bundle_meta meta = GoodMeta();
  bundle_further_r item{};
  item.bundle_further_choice = bundle_further_r::bundle_further_further_input_m_c;
  item.bundle_further_further_input_m.further_input_input = {meta.bundle_meta_window, meta.bundle_meta_gate,
                                                             meta.bundle_meta_prepare, meta.bundle_meta_input};
  return item;
}

bundle_further_r FurtherOutputItem(uint32_t index, uint32_t elements) {
  bundle_further_r item{};
  item.bundle_further_choice = bundle_further_r::bundle_further_further_output_m_c;
  item.bundle_further_further_output_m.further_output_output = {index, Int8Tensor(elements)};
  return item;
}

bundle_further_r StateItem(uint32_t output, uint32_t input) {
  bundle_further_r item{};
  item.bundle_further_choice = bundle_further_r::bundle_further_further_state_m_c;
  item.bundle_further_further_state_m.further_state_state = {output, input};
  return item;
}

std::vector<uint8_t> With(const std::vector<bundle_further_r>& items) {
  std::vector<uint8_t> metadata = Metadata(GoodMeta());
  for (const bundle_further_r& item : items) {
    std::vector<uint8_t> out(1024);
    size_t size = 0;
    CHECK_EQUAL(cbor_encode_bundle_further(out.data(), out.size(), &item, &size), 0);
    metadata.insert(metadata.end(), out.begin(), out.begin() + static_cast<long>(size));
  }
  return Pack(metadata, kModel);
}

void FurtherTensorsAreRead() {
  const std::vector<uint8_t> bytes = With({FurtherInputItem(), FurtherOutputItem(2, 7), StateItem(3, 1)});
  Bundle bundle;
  Bytes items;
  InputPart input;
  FurtherItem item;
  item.input = &input;
  CHECK(ParseBundle(Bytes(bytes.data(), bytes.size()), kLimits, &bundle, &items).ok());
  CHECK(ParseFurther(&items, kLimits, &item).ok());
  CHECK(item.kind == FurtherItem::Kind::kInput);
  CHECK_EQUAL(input.window.samples, 4);
  CHECK_EQUAL(input.prepare_parameters.channel_count, 2);
  CHECK_EQUAL(input.input.bytes, 8);
  CHECK(ParseFurther(&items, kLimits, &item).ok());
  CHECK(item.kind == FurtherItem::Kind::kOutput);
  CHECK_EQUAL(item.output.index, 2);
  CHECK_EQUAL(item.output.tensor.bytes, 7);
  CHECK(ParseFurther(&items, kLimits, &item).ok());
  CHECK(item.kind == FurtherItem::Kind::kState);
  CHECK_EQUAL(item.state.output, 3);
  CHECK_EQUAL(item.state.input, 1);
  CHECK(items.empty());
}

void FurtherInputsAreHeldToTheirRules() {
  bundle_further_r item = FurtherInputItem();
  input_part& part = item.bundle_further_further_input_m.further_input_input;
  part.input_part_window.window_part_samples = 5;
  CheckCode(With({item}), 16, 10);
  part.input_part_window.window_part_samples = 1000;
  CheckCode(With({item}), 10, 4000);
  item = FurtherInputItem();
  part.input_part_gate.gate_part_maximum = -200.0f;
  CheckCode(With({item}), 11, 1);
  item = FurtherInputItem();
  part.input_part_prepare.prepare_part_version = 9;
  CheckCode(With({FurtherOutputItem(1, 2), item}), 13, 9);
  std::vector<uint8_t> cut = Metadata(GoodMeta());
  cut.push_back(0xa1);  // a map of one pair, and no pair
  CHECK_EQUAL(Parse(Pack(cut, kModel)).status, 8);
}

void BundleHeaderCodes() {
  CheckCode(std::vector<uint8_t>(128, 0x00), 1, 0);
  CheckCode(std::vector<uint8_t>(128, 0xFF), 1, 0);
  const auto with = [](size_t at, uint32_t value) {
    std::vector<uint8_t> bundle = GoodBundle();
    Store32(&bundle, at, value);
    return bundle;
  };
  const auto size = static_cast<uint32_t>(GoodBundle().size());
  const auto metadata_size = static_cast<uint32_t>(Metadata(GoodMeta()).size());
  CheckCode(with(0, 0x12345678), 2, 0x12345678);
  CheckCode(with(4, 64u << 16 | 2), 3, 2);
  CheckCode(with(4, 32u << 16 | 1), 4, 6);
  CheckCode(with(12, 80), 4, 12);
  CheckCode(with(28, 1), 4, 28);
  CheckCode(with(8, 63), 5, 63);
  CheckCode(with(8, size + 1), 5, size + 1);
  CheckCode(with(16, 0), 6, 16);
  CheckCode(with(16, 0xFFFFFFFF), 6, 16);
  CheckCode(with(20, 65), 6, 20);
  CheckCode(with(20, (64 + metadata_size) / 16 * 16), 6, 20);  // inside the metadata
  CheckCode(with(20, 0xFFFFFFF0), 6, 20);
  CheckCode(with(24, 0), 6, 24);
  CheckCode(with(24, 4), 6, 24);  // one byte past the end
  CheckCode(with(24, 0xFFFFFFFF), 6, 24);
}

void BundleHashCode() {
  std::vector<uint8_t> bundle = GoodBundle();
  bundle.back() ^= 1;
  std::vector<uint8_t> right = bundle;
  StoreHash(&right);
  const uint32_t computed = static_cast<uint32_t>(right[32]) << 24 | static_cast<uint32_t>(right[33]) << 16 |
                            static_cast<uint32_t>(right[34]) << 8 | right[35];
  CheckCode(bundle, 7, computed);
}

void BundleMetadataCode() {
  const std::vector<uint8_t> good = Metadata(GoodMeta());
  std::vector<uint8_t> longer = good;
  longer.push_back(0);
  CHECK_EQUAL(Parse(Pack(longer, kModel)).status, 8);
  std::vector<uint8_t> shorter = good;
  shorter.pop_back();
  CHECK_EQUAL(Parse(Pack(shorter, kModel)).status, 8);
  CHECK_EQUAL(Parse(Pack({0x00}, kModel)).status, 8);
  // Any single byte turned over: never a crash, and never an answer outside the table.
  for (size_t i = 0; i < good.size(); ++i) {
    std::vector<uint8_t> damaged = good;
    damaged[i] ^= 0xFF;
    CHECK(static_cast<int>(Parse(Pack(damaged, kModel)).status) <= 21);
  }
}

template <typename Change>
void CheckMeaning(int code, uint32_t detail, Change change) {
  bundle_meta meta = GoodMeta();
  change(&meta);
  CheckCode(Pack(Metadata(meta), kModel), code, detail);
}

void BundleMeaningCodes() {
  using M = bundle_meta*;
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  CheckMeaning(10, 0, [](M m) { m->bundle_meta_window.window_part_type = 6; });
  CheckMeaning(10, 0, [](M m) { m->bundle_meta_window.window_part_samples = 0; });
  CheckMeaning(10, 1004, [](M m) { m->bundle_meta_window = {7, 251, 2}; });
  CheckMeaning(10, 0xFFFFFFFF, [](M m) { m->bundle_meta_window = {7, 0x80000000, 0x80000000}; });
  CheckMeaning(11, 0, [](M m) { m->bundle_meta_gate.gate_part_minimum = -kInfinity; });
  CheckMeaning(11, 1, [](M m) { m->bundle_meta_gate.gate_part_maximum = kInfinity; });
  CheckMeaning(11, 1, [](M m) { m->bundle_meta_gate.gate_part_minimum = 101.0f; });
  CheckMeaning(11, 2, [](M m) { m->bundle_meta_gate.gate_part_min_span = -1.0f; });
  CheckMeaning(12, 0, [](M m) { m->bundle_meta_prepare.prepare_part_id = Text8("scales"); });
  CheckMeaning(13, 2, [](M m) { m->bundle_meta_prepare.prepare_part_version = 2; });
  CheckMeaning(14, 9, [](M m) { m->bundle_meta_window.window_part_type = 9; });
  CheckMeaning(15, 1, [](M m) { m->bundle_meta_prepare.prepare_part_channels_channel_m[1].channel_source = 2; });
  CheckMeaning(15, 0, [](M m) { m->bundle_meta_prepare.prepare_part_channels_channel_m_count = 0; });
  CheckMeaning(16, 8, [](M m) { m->bundle_meta_input = Int8Tensor(9); });
  // 250 samples: a tensor of 500 bytes is the longest that is kept.
  const auto with_tensor = [](M m, uint32_t channels) {
    m->bundle_meta_window = {7, 250, 2};
    m->bundle_meta_prepare.prepare_part_channels_channel_m[2] = {0, 0, 65536};
    m->bundle_meta_prepare.prepare_part_channels_channel_m_count = channels;
    m->bundle_meta_input = Int8Tensor(250 * channels);
  };
  CheckMeaning(0, 0, [&](M m) { with_tensor(m, 2); });
  CheckMeaning(16, 750, [&](M m) { with_tensor(m, 3); });
  CheckMeaning(14, 7, [](M m) { m->bundle_meta_prepare.prepare_part_id = Text8("tensor"); });  // int16 for int8
  CheckMeaning(22, 0, [](M m) { m->bundle_meta_input.tensor_type = 0; });
  CheckMeaning(22, 2, [](M m) { m->bundle_meta_input.tensor_type = 2; });
  CheckMeaning(0, 0, [](M m) { m->bundle_meta_input.tensor_type = 3; });
  CheckMeaning(23, 6, [](M m) { m->bundle_meta_output.tensor_type = 6; });
  CheckMeaning(0, 0, [](M m) { m->bundle_meta_output.tensor_type = 0; });
  // In bytes: an int16 tensor of 251 elements is one too long.
  CheckMeaning(16, 251, [](M m) {
    m->bundle_meta_window = {7, 251, 1};
    m->bundle_meta_prepare.prepare_part_channels_channel_m_count = 1;
    m->bundle_meta_input = Int8Tensor(251);
    m->bundle_meta_input.tensor_type = 7;
  });
  CheckMeaning(17, 0, [](M m) { m->bundle_meta_decide.decide_part_id = Text8("arg"); });
  CheckMeaning(18, 7, [](M m) { m->bundle_meta_decide.decide_part_version = 7; });
  CheckMeaning(19, 0, [](M m) { m->bundle_meta_decide.decide_part_release = 11; });
  CheckMeaning(19, 1, [](M m) { m->bundle_meta_decide.decide_part_debounce = 0; });
  CheckMeaning(20, 1, [](M m) { m->bundle_meta_labels_label_count = 1; });
  CheckMeaning(20, 2, [](M m) { m->bundle_meta_decide.decide_part_id = Text8("none"); });
  CheckMeaning(21, 2048, [](M m) { m->bundle_meta_arena_bytes = 0; });
  CheckMeaning(21, 2048, [](M m) { m->bundle_meta_arena_bytes = 2049; });
}

TensorContract Contract() {
  TensorContract contract;
  contract.type = 9;
  contract.shape = {1, 8};
  contract.rank = 2;
  contract.scale = 0.5f;
  contract.zero_point = -3;
  contract.bytes = 8;
  return contract;
}

template <typename Change>
void CheckTensor(int code, uint32_t detail, Change change) {
  TensorContract actual = Contract();
  change(&actual);
  const BundleResult result = CompareTensor(Contract(), actual, BundleStatus::kOutputType);
  CHECK_EQUAL(result.status, code);
  CHECK_EQUAL(result.detail, detail);
}

void TensorContractCodes() {
  using T = TensorContract*;
  CheckTensor(0, 0, [](T) {});
  CheckTensor(45, 3, [](T t) { t->type = 3; });
  CheckTensor(46, 1, [](T t) { t->shape[1] = 7; });
  CheckTensor(46, 2, [](T t) { t->rank = 3; });
  CheckTensor(46, 1, [](T t) { t->rank = 1; });
  CheckTensor(47, 0x3E800000, [](T t) { t->scale = 0.25f; });  // IEEE 754 bits of 0.25
  CheckTensor(48, 0xFFFFFFFE, [](T t) { t->zero_point = -2; });
  CheckTensor(49, 9, [](T t) { t->bytes = 9; });
}

void OperatorLogKeepsTheFirstAndCountsAll() {
  static OperatorLog log;
  CHECK_EQUAL(log.ran(), 0);
  CHECK_EQUAL(log.kept().size(), 0);
  for (uint32_t i = 0; i < OperatorLog::kCapacity + 3; ++i) {
    log.Note({10 * i, 10 * i + 4, static_cast<uint8_t>(i)});
    CHECK_EQUAL(log.ran(), i + 1);
    CHECK_EQUAL(log.kept().size(), std::min<size_t>(i + 1, OperatorLog::kCapacity));
  }
  const OperatorTime last = log.kept()[OperatorLog::kCapacity - 1];
  CHECK_EQUAL(last.code, OperatorLog::kCapacity - 1);
  CHECK_EQUAL(last.begin, 10 * (OperatorLog::kCapacity - 1));
  CHECK_EQUAL(last.end, 10 * (OperatorLog::kCapacity - 1) + 4);
}

void OperatorLogBeginsAnew() {
  static OperatorLog log;
  log.Note({1, 2, 3});
  log.Note({4, 5, 6});
  log.Clear();
  CHECK_EQUAL(log.ran(), 0);
  CHECK_EQUAL(log.kept().size(), 0);
  log.Note({7, 8, 9});
  CHECK_EQUAL(log.kept().size(), 1);
  CHECK_EQUAL(log.kept()[0].begin, 7);
}

constexpr test::Test kTests[] = {
    {"Sha256MatchesFips", Sha256MatchesFips},
    {"GateFollowsTheOrderOfItsRules", GateFollowsTheOrderOfItsRules},
    {"GateWatchesFloats", GateWatchesFloats},
    {"GateSpanOfFullScaleDoesNotWrap", GateSpanOfFullScaleDoesNotWrap},
    {"ScaleRoundsHalfUpAndClamps", ScaleRoundsHalfUpAndClamps},
    {"ScaleClampsToTheTensorsType", ScaleClampsToTheTensorsType},
    {"ScalePicksItsSourceChannels", ScalePicksItsSourceChannels},
    {"QuantizeRoundsHalfUpAndClamps", QuantizeRoundsHalfUpAndClamps},
    {"QuantizeClampsToTheTensorsType", QuantizeClampsToTheTensorsType},
    {"QuantizeWantsAUsableFactor", QuantizeWantsAUsableFactor},
    {"TensorPassesThrough", TensorPassesThrough},
    {"StagesSayWhichTensorsTheyMake", StagesSayWhichTensorsTheyMake},
    {"RanksGrowWithTheirValues", RanksGrowWithTheirValues},
    {"ArgmaxTakesTheFirstOfEqualScores", ArgmaxTakesTheFirstOfEqualScores},
    {"ArgmaxTakesScoresOfEachType", ArgmaxTakesScoresOfEachType},
    {"ArgmaxDecidesNothingOnWhatIsNoNumber", ArgmaxDecidesNothingOnWhatIsNoNumber},
    {"ArgmaxHoldsWithHysteresis", ArgmaxHoldsWithHysteresis},
    {"ArgmaxDebounces", ArgmaxDebounces},
    {"ArgmaxCoolsDown", ArgmaxCoolsDown},
    {"NoneDecidesNothing", NoneDecidesNothing},
    {"ArenaMeasuresWhatWasWritten", ArenaMeasuresWhatWasWritten},
    {"ArenaFloorIsTheLeastItReports", ArenaFloorIsTheLeastItReports},
    {"ArenaCanariesNameTheSide", ArenaCanariesNameTheSide},
    {"ArenaPaintsEachStartWithTheOtherPattern", ArenaPaintsEachStartWithTheOtherPattern},
    {"BundleIsRead", BundleIsRead},
    {"FurtherTensorsAreRead", FurtherTensorsAreRead},
    {"FurtherInputsAreHeldToTheirRules", FurtherInputsAreHeldToTheirRules},
    {"BundleHeaderCodes", BundleHeaderCodes},
    {"BundleHashCode", BundleHashCode},
    {"BundleMetadataCode", BundleMetadataCode},
    {"BundleMeaningCodes", BundleMeaningCodes},
    {"TensorContractCodes", TensorContractCodes},
    {"OperatorLogKeepsTheFirstAndCountsAll", OperatorLogKeepsTheFirstAndCountsAll},
    {"OperatorLogBeginsAnew", OperatorLogBeginsAnew},
};

}  // namespace
}  // namespace hil

int main() {
  hil::test::Run(hil::kTests);
  hil::test::Run(hil::test::LinkTests());
  hil::test::Run(hil::test::AgentTests());
  return hil::test::failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
