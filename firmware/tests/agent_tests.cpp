// Tests of the agent on a line of the test's own, with a product that the test counts. Expected bytes are RFC 8949's.
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "agent/hil_agent.h"
#include "link/crc32.h"
#include "tests/check.h"
#include "tests/line.h"

namespace hil::test {
namespace {

using namespace std::string_literals;

// What the agent asked of the product.
struct Asked {
  int runs = 0;
  uint32_t window_bytes = 0;
  bool aligned = true;
  uint32_t first = 0;  // byte of the last window
};

void Describe(void*, hil_facts* facts) {
  facts->firmware = "7";
  facts->can = UINT32_MAX;
}

void Run(void* context, const hil_window* window, hil_record*) {
  Asked* const asked = static_cast<Asked*>(context);
  ++asked->runs;
  asked->window_bytes = window->bytes.size;
  asked->aligned = asked->aligned && reinterpret_cast<uintptr_t>(window->bytes.data) % HIL_AGENT_ALIGNMENT == 0;
  asked->first = window->bytes.size != 0 ? window->bytes.data[0] : 0;
}

hil_product Smallest(Asked* asked) {
  hil_product product{};
  product.context = asked;
  product.describe = Describe;
  product.run = Run;
  return product;
}

hil_product Largest(Asked* asked) {
  hil_product product = Smallest(asked);
  product.decide = [](void*, bool, hil_bytes scores, hil_decision*, uint32_t* wanted) {
    *wanted = 4;
    return scores.size == 4;
  };
  product.fetch = [](void*, uint32_t item, hil_bytes* tensor) {
    static const uint8_t bytes[100] = {};
    *tensor = {bytes, sizeof(bytes)};
    return item < 2;
  };
  product.tensor = [](void*, bool, uint32_t index, hil_tensor*) { return index < 2; };
  product.profile = [](void*, const hil_window*, hil_record*, uint32_t* ran, uint32_t* kept) { *ran = *kept = 200; };
  product.operator_time = [](void*, uint32_t index, hil_operator_time* time) {
    *time = {3, index, index};
    return index < 200;
  };
  product.plain = [](void*, const hil_window*, hil_record*) { return uint32_t{9}; };
  product.test = [](void*, uint8_t test, uint32_t, uint32_t, hil_record*) { return test == 0; };
  product.heap = [](void* context, hil_heap* heap) {
    *heap = {16, 23, 100, HIL_NOT_TOLD};
    return static_cast<Asked*>(context)->runs != 2;  // behind the second it cannot be told
  };
  product.model = [](void*, uint32_t offset, uint32_t count, hil_bytes* piece) {
    static const uint8_t bytes[5] = {'T', 'F', 'L', '3', 7};
    const bool there = offset <= sizeof(bytes) && count <= sizeof(bytes) - offset;
    *piece = there ? hil_bytes{bytes + offset, count} : hil_bytes{nullptr, sizeof(bytes)};
    return there;
  };
  return product;
}

std::string Frame(const std::string& message) {
  std::vector<uint8_t> data(message.begin(), message.end());
  const uint32_t crc = hil_crc32(data.data(), data.size());
  for (int i = 0; i < 4; ++i) {
    data.push_back(static_cast<uint8_t>(crc >> (8 * i)));
  }
  std::vector<uint8_t> encoded(data.size() + HIL_COBS_OVERHEAD(data.size()));
  encoded.resize(hil_cobs_encode(data.data(), data.size(), encoded.data()));
  return "\0"s + std::string(encoded.begin(), encoded.end()) + "\0"s;
}

// The message of a frame with a zero on both ends; empty when it is none.
std::string Message(const std::string& frame) {
  if (frame.size() < 3 || frame.front() != 0 || frame.back() != 0) {
    return "";
  }
  std::vector<uint8_t> data(frame.begin() + 1, frame.end() - 1);
  size_t size = data.size();
  if (!hil_cobs_decode(data.data(), &size, data.data()) || size < 4) {
    return "";
  }
  return std::string(data.begin(), data.begin() + static_cast<long>(size) - 4);
}

struct Bench {
  explicit Bench(hil_product (*make)(Asked*) = Smallest, const hil_agent_hooks* hooks = nullptr)
      : product(make(&asked)), port(line.Port()) {
    CHECK(hil_agent_start(agent.get(), &product, &port, hooks));
  }
  // The message that answers, without its frame.
  std::string Ask(const std::string& request) { return Message(AskRaw(Frame(request))); }
  std::string AskRaw(const std::string& bytes) {
    line.Hear(bytes);
    while (hil_agent_poll(agent.get())) {
    }
    return line.Said();
  }
  Asked asked;
  hil_product product;
  Line line;
  hil_port port;
  std::unique_ptr<hil_agent> agent = std::make_unique<hil_agent>();
};

// Requests, by hand: [id, {name: arguments}].
std::string Request(int id, const std::string& name, const std::string& arguments) {
  return "\x82"s + static_cast<char>(id) + "\xA1"s + static_cast<char>(0x60 + name.size()) + name + arguments;
}
std::string Hello(int id) { return Request(id, "hello", "\x02"); }
std::string RunOf(int id, const std::string& window) {
  return Request(id, "run", "\x84\x01\xF5\x00\x58"s + static_cast<char>(window.size()) + window);
}
std::string Refusal(int id, int code, int detail = 0) {
  return "\x9F"s + static_cast<char>(id) + "\x00\xBF\x65"s + "error" + "\x9F"s + static_cast<char>(code) +
         static_cast<char>(detail) + "\xFF\xFF\xFF"s;
}

void AgentSaysWhatItCan() {
  CHECK(Bench(Smallest).Ask(Hello(1)).find("\x63"s + "can" + "\x18\xC0"s) != std::string::npos);  // 64 + 128
  CHECK(Bench(Largest).Ask(Hello(1)).find("\x63"s + "can" + "\x19\x03\xFF"s) != std::string::npos);
  const std::string reply = Bench(Smallest).Ask(Hello(5));
  CHECK(reply.substr(0, 10) == "\x9F\x05\x00\xBF\x65"s + "hello");
  CHECK(reply.find("\x68"s + "firmware" + "\x61" + "7") != std::string::npos);
}

void AgentRefusesWhatTheProductCannot() {
  Bench bench(Smallest);
  CHECK(bench.Ask(Request(1, "scores", "\x82\xF5\x41\x00"s)) == Refusal(1, 9));
  CHECK(bench.Ask(Request(2, "fetch", "\x83\x00\x00\x01"s)) == Refusal(2, 9));
  CHECK(bench.Ask(Request(2, "fetch", "\x83\x02\x00\x01"s)) == Refusal(2, 9));
  CHECK(bench.Ask(Request(3, "profile", "\x84\x01\xF5\x00\x40"s)) == Refusal(3, 6));
  CHECK(bench.Ask(Request(4, "operators", "\x00"s)) == Refusal(4, 6));
  CHECK(bench.Ask(Request(5, "plain", "\x83\x01\xF5\x40"s)) == Refusal(5, 7));
  CHECK(bench.Ask(Request(6, "selftest", "\x84\x00\x00\x00\x40"s)) == Refusal(6, 7));
  CHECK(bench.Ask(Request(7, "tensor", "\x82\xF5\x00"s)) == Refusal(7, 8));
  CHECK(bench.Ask(Request(8, "hello", "\x01")) == Refusal(8, 2, 2));
  CHECK(bench.Ask(Request(9, "hullo", "\x01")) == Refusal(9, 1));
  CHECK_EQUAL(bench.asked.runs, 0);
}

void AgentAsksTheProductForTheRest() {
  Bench bench(Largest);
  CHECK(bench.Ask(Request(1, "scores", "\x82\xF5\x41\x00"s)) == Refusal(1, 5, 4));
  CHECK(bench.Ask(Request(2, "fetch", "\x83\x00\x18\x64\x01"s)).find("error") !=
        std::string::npos);  // 1 byte behind 100
  CHECK(bench.Ask(Request(3, "fetch", "\x83\x00\x02\x03"s)) ==
        "\x9F\x03\x00\xBF\x65"s + "fetch" + "\x43\0\0\0\xFF\xFF"s);
  CHECK(bench.Ask(Request(4, "tensor", "\x82\xF5\x05"s)) == Refusal(4, 8));
  CHECK(bench.Ask(Request(5, "selftest", "\x84\x01\x00\x00\x40"s)) == Refusal(5, 7));
  // A page of 32: 3, 0, 0 to 3, 31, 31, each number beyond 23 in two bytes.
  const std::string page = bench.Ask(Request(6, "operators", "\x00"s));
  CHECK(page.find("\x9F\x03\x18\x1F\x18\x1F\xFF\xFF\xFF\xFF"s) != std::string::npos);
  CHECK(bench.Ask(Request(7, "operators", "\x18\xC8"s)) == "\x9F\x07\x00\xBF\x69"s + "operators" + "\x9F\xFF\xFF\xFF"s);
}

void AgentGivesTheModelInPieces() {
  Bench bench(Largest);
  const auto piece = [&bench](int id, const std::string& place) {
    return bench.Ask(Request(id, "fetch", "\x83\x02"s + place));
  };
  CHECK(piece(1, "\x00\x04"s) == "\x9F\x01\x00\xBF\x65"s + "fetch" + "\x44TFL3\xFF\xFF"s);
  CHECK(piece(2, "\x04\x01"s) == "\x9F\x02\x00\xBF\x65"s + "fetch" + "\x41\x07\xFF\xFF"s);
  CHECK(piece(3, "\x04\x02"s) == Refusal(3, 3, 5));
  CHECK(piece(4, "\x06\x00"s) == Refusal(4, 3, 5));
}

void AgentTellsTheHeapBehindAWindow() {
  const std::string told = "\x64"s + "heap" + "\x9F\x10\x17\x18\x64\x1A\xFF\xFF\xFF\xFF\xFF"s;
  Bench bench(Largest);
  CHECK(bench.Ask(RunOf(1, "abc")).find(told) != std::string::npos);
  CHECK(bench.Ask(RunOf(2, "abc")).find("heap") == std::string::npos);
  CHECK(bench.Ask(RunOf(3, "abc")).find(told) != std::string::npos);
  CHECK(Bench(Smallest).Ask(RunOf(1, "abc")).find("heap") == std::string::npos);
}

void AgentRunsARequestOnce() {
  Bench bench;
  const std::string first = bench.AskRaw(Frame(RunOf(1, "abc")));
  CHECK(bench.AskRaw(Frame(RunOf(1, "abc"))) == first);
  CHECK_EQUAL(bench.asked.runs, 1);
  bench.Ask(RunOf(1, "abd"));  // the id of another request
  CHECK_EQUAL(bench.asked.runs, 2);
  bench.Ask(Hello(1));
  bench.Ask(RunOf(1, "abd"));
  CHECK_EQUAL(bench.asked.runs, 3);
}

void AgentHandsWindowsOverAligned() {
  Bench bench;
  for (int size = 0; size < 200; ++size) {
    const std::string window(static_cast<size_t>(size), static_cast<char>(size));
    bench.Ask(RunOf(size % 20 + 1, window));
    CHECK_EQUAL(bench.asked.window_bytes, size);
    CHECK_EQUAL(bench.asked.first, size);
  }
  CHECK(bench.asked.aligned);
  CHECK_EQUAL(bench.asked.runs, 200);
}

// On a half-duplex line a device hears itself, and on a bus the others.
void AgentIgnoresReplies() {
  Bench bench;
  const std::string reply = bench.AskRaw(Frame(RunOf(1, "abc")));
  CHECK(bench.AskRaw(reply).empty());
  CHECK(bench.AskRaw(Frame(Refusal(1, 1))).empty());
  CHECK(bench.AskRaw(Frame(RunOf(1, "abc"))) == reply);
}

void AgentsDoNotMeet() {
  Bench one;
  Bench two(Largest);
  one.line.Hear(Frame(RunOf(1, "a")).substr(0, 5));
  CHECK(!hil_agent_poll(one.agent.get()));
  const std::string said = two.Ask(RunOf(1, "b"));
  one.AskRaw(Frame(RunOf(1, "a")).substr(5));
  CHECK_EQUAL(one.asked.first, 'a');
  CHECK_EQUAL(two.asked.first, 'b');
  CHECK(two.Ask(RunOf(1, "b")) == said);
  CHECK_EQUAL(two.asked.runs, 1);
}

void AgentTellsWhenARequestBeginsAndEnds() {
  static volatile uint32_t boot = 9;
  static std::string told;
  static constexpr hil_agent_hooks kHooks = {nullptr, &boot, [](void*, uint32_t id) { told += std::to_string(id); },
                                             [](void*) { told += "."; }, nullptr};
  Bench bench(Smallest, &kHooks);
  CHECK(bench.Ask(RunOf(10, "")).substr(0, 3) == "\x9F\x0A\x09");
  bench.Ask(RunOf(10, ""));
  bench.Ask(RunOf(11, ""));
  CHECK(told == "10.11.");
}

void AgentStartsOnlyWithWhatItNeeds() {
  Asked asked;
  Line line;
  const hil_product product = Smallest(&asked);
  const hil_port port = line.Port();
  const auto agent = std::make_unique<hil_agent>();
  hil_product without = product;
  without.run = nullptr;
  CHECK(!hil_agent_start(agent.get(), &without, &port, nullptr));
  without = product;
  without.describe = nullptr;
  CHECK(!hil_agent_start(agent.get(), &without, &port, nullptr));
  hil_port deaf = port;
  deaf.read = nullptr;
  CHECK(!hil_agent_start(agent.get(), &product, &deaf, nullptr));
  CHECK(!hil_agent_start_sized(agent.get(), sizeof(hil_agent) + 16, &product, &port, nullptr));
  hil_port least = port;
  least.ready = nullptr;
  least.time = nullptr;
  CHECK(hil_agent_start(agent.get(), &product, &least, nullptr));
}

// A million bytes of noise, of frames with noise in them, and of noise with a good checksum.
void AgentSurvivesAnyBytes() {
  Bench bench(Largest);
  std::mt19937 dice(11);
  const std::string whole[] = {Hello(1), RunOf(2, std::string(90, 'w')), Request(3, "scores", "\x82\xF5\x41\x00"s),
                               Request(4, "selftest", "\x84\x00\x00\x00\x40"s), Request(5, "operators", "\x00"s)};
  size_t heard = 0;
  while (heard < 1000000) {
    std::string bytes = whole[dice() % 5];
    const unsigned kind = dice() % 3;
    if (kind == 0) {
      bytes.resize(dice() % 3000);
      for (char& byte : bytes) {
        byte = static_cast<char>(dice() % 40 == 0 ? 0 : dice());
      }
    } else {
      bytes = kind == 1 ? bytes : Frame(bytes);
      bytes[dice() % bytes.size()] = static_cast<char>(dice());
      bytes.resize(dice() % 8 == 0 ? dice() % bytes.size() : bytes.size());
      bytes = kind == 1 ? Frame(bytes) : bytes;
    }
    heard += bytes.size();
    bench.AskRaw(bytes);
    bench.line.heard.clear();
    bench.line.read_at = 0;
  }
  CHECK(Message(bench.AskRaw("\0"s + Frame(Hello(6)))).substr(0, 10) == "\x9F\x06\x00\xBF\x65"s + "hello");
  CHECK(bench.asked.aligned);
}

constexpr Test kTests[] = {
    {"AgentSaysWhatItCan", AgentSaysWhatItCan},
    {"AgentRefusesWhatTheProductCannot", AgentRefusesWhatTheProductCannot},
    {"AgentAsksTheProductForTheRest", AgentAsksTheProductForTheRest},
    {"AgentGivesTheModelInPieces", AgentGivesTheModelInPieces},
    {"AgentTellsTheHeapBehindAWindow", AgentTellsTheHeapBehindAWindow},
    {"AgentRunsARequestOnce", AgentRunsARequestOnce},
    {"AgentHandsWindowsOverAligned", AgentHandsWindowsOverAligned},
    {"AgentIgnoresReplies", AgentIgnoresReplies},
    {"AgentsDoNotMeet", AgentsDoNotMeet},
    {"AgentTellsWhenARequestBeginsAndEnds", AgentTellsWhenARequestBeginsAndEnds},
    {"AgentStartsOnlyWithWhatItNeeds", AgentStartsOnlyWithWhatItNeeds},
    {"AgentSurvivesAnyBytes", AgentSurvivesAnyBytes},
};

}  // namespace

Span<const Test> AgentTests() { return kTests; }

}  // namespace hil::test
