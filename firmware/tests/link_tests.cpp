// Tests of the link: checksum, stuffing, frames on a stream of bytes. Expected values are published ones.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <deque>
#include <string>
#include <vector>

#include "link/cobs.h"
#include "link/crc32.h"
#include "link/framing.h"
#include "link/rtt.h"
#include "tests/check.h"
#include "tests/line.h"

namespace hil::test {
namespace {

const uint8_t* Data(const std::string& text) { return reinterpret_cast<const uint8_t*>(text.data()); }

void Crc32IsTheIeeeOne() {
  const std::string digits = "123456789";
  CHECK_EQUAL(hil_crc32(Data(digits), digits.size()), 0xCBF43926u);  // the catalogue's check value
  CHECK_EQUAL(hil_crc32(nullptr, 0), 0u);
}

std::string Encoded(const std::string& data) {
  // As the agent does: the bytes lie at the end of the memory that they are encoded into.
  std::vector<uint8_t> out(data.size() + HIL_COBS_OVERHEAD(data.size()));
  std::copy(data.begin(), data.end(), out.end() - static_cast<long>(data.size()));
  const size_t size = hil_cobs_encode(out.data() + out.size() - data.size(), data.size(), out.data());
  return std::string(out.begin(), out.begin() + static_cast<long>(size));
}

// False, or the decoded bytes.
bool Decodes(const std::string& frame, std::string* data) {
  std::vector<uint8_t> bytes(frame.begin(), frame.end());
  size_t size = bytes.size();
  const bool whole = hil_cobs_decode(bytes.data(), &size, bytes.data());
  *data = std::string(bytes.begin(), bytes.begin() + static_cast<long>(size));
  return whole;
}

std::string Counting(int first, int last) {
  std::string bytes;
  for (int i = first; i <= last; ++i) {
    bytes += static_cast<char>(i);
  }
  return bytes;
}

// The examples of Wikipedia's article on COBS.
void CobsMatchesThePublishedExamples() {
  using namespace std::string_literals;
  const struct {
    std::string data, frame;
  } examples[] = {
      {"\x00"s, "\x01\x01"s},
      {"\x00\x00"s, "\x01\x01\x01"s},
      {"\x00\x11\x00"s, "\x01\x02\x11\x01"s},
      {"\x11\x22\x00\x33"s, "\x03\x11\x22\x02\x33"s},
      {"\x11\x22\x33\x44"s, "\x05\x11\x22\x33\x44"s},
      {"\x11\x00\x00\x00"s, "\x02\x11\x01\x01\x01"s},
      {Counting(1, 254), "\xFF"s + Counting(1, 254)},
      {"\x00"s + Counting(1, 254), "\x01\xFF"s + Counting(1, 254)},
      {Counting(1, 255), "\xFF"s + Counting(1, 254) + "\x02\xFF"s},
      {Counting(2, 255) + "\x00"s, "\xFF"s + Counting(2, 255) + "\x01\x01"s},
      {Counting(3, 255) + "\x00\x01"s, "\xFE"s + Counting(3, 255) + "\x02\x01"s},
  };
  for (const auto& example : examples) {
    CHECK(Encoded(example.data) == example.frame);
    std::string data;
    CHECK(Decodes(example.frame, &data));
    CHECK(data == example.data);
  }
}

void CobsRefusesDamage() {
  using namespace std::string_literals;
  std::string data;
  CHECK(!Decodes("\x05\x11\x22"s, &data));  // a group that runs past the end
  CHECK(!Decodes("\x03\x11\x00"s, &data));  // a zero inside
  CHECK(!Decodes("\x00\x11"s, &data));      // a zero as code
  CHECK(!Decodes(""s, &data));
}

// ---- frames

std::string Framed(const std::string& message) {
  uint8_t crc[4];
  const uint32_t value = hil_crc32(Data(message), message.size());
  for (int i = 0; i < 4; ++i) {
    crc[i] = static_cast<uint8_t>(value >> (8 * i));
  }
  return Encoded(message + std::string(reinterpret_cast<const char*>(crc), 4)) + std::string(1, 0);
}

// A reader of frames of up to 64 bytes, and what it made of the line.
struct Reader {
  explicit Reader(Line* line) : line(line), port(line->Port()) {
    hil_framing_start(&framing, &port, in, sizeof(in), out, 32);
  }
  std::vector<std::string> All() {
    std::vector<std::string> found;
    hil_message message;
    while (hil_framing_receive(&framing, &message)) {
      found.emplace_back(reinterpret_cast<const char*>(message.data), message.size);
    }
    return found;
  }
  Line* line;
  hil_port port;
  hil_framing framing;
  uint8_t in[64];
  uint8_t out[HIL_FRAMING_OUT_BYTES(32)];
};

void FramesComeInAnyPieces() {
  using namespace std::string_literals;
  const std::string stream = "\0\0"s + Framed("first") + Framed("second\0one"s) + "\0"s + Framed("third");
  const std::vector<std::string> wanted = {"first", "second\0one"s, "third"};
  for (size_t piece = 1; piece <= stream.size(); ++piece) {
    Line line;
    Reader reader(&line);
    std::vector<std::string> found;
    for (size_t at = 0; at < stream.size(); at += piece) {
      line.Hear(stream.substr(at, piece));
      for (const std::string& message : reader.All()) {
        found.push_back(message);
      }
    }
    CHECK(found == wanted);
    CHECK_EQUAL(reader.framing.dropped, 0);
  }
}

void FramesOfTheLongestLengthAreTakenAndLongerOnesDropped() {
  Line line;
  Reader reader(&line);
  // 58 bytes, CRC and one byte of stuffing are 63; the zero makes them 64.
  const std::string longest(58, 'x');
  line.Hear(Framed(longest) + Framed(longest + "y") + Framed("after"));
  CHECK(reader.All() == (std::vector<std::string>{longest, "after"}));
  CHECK_EQUAL(reader.framing.dropped, 1);
  line.Hear(std::string(1000, 'z'));
  CHECK(reader.All().empty());
  line.Hear(std::string(1, 0) + Framed("again"));
  CHECK(reader.All() == std::vector<std::string>{"again"});
  CHECK_EQUAL(reader.framing.dropped, 2);
}

void FramesThatAreDamagedAreDropped() {
  Line line;
  Reader reader(&line);
  const std::string frame = Framed("a message");
  for (size_t at = 0; at + 1 < frame.size(); ++at) {
    std::string damaged = frame;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    line.Hear(damaged + std::string(1, 0));
    CHECK(reader.All().empty());
  }
  line.Hear("a log line\r\n" + std::string(1, 0) + Framed("good"));
  CHECK(reader.All() == std::vector<std::string>{"good"});
}

void FramesAreWrittenBehindAZero() {
  Line line;
  Reader reader(&line);
  for (const std::string& message : {std::string(), std::string(32, 0), Counting(1, 32), std::string("\0x\0", 3)}) {
    std::memcpy(hil_framing_message(&reader.framing), message.data(), message.size());
    hil_framing_encode(&reader.framing, message.size());
    line.takes = 3;  // a narrow line
    CHECK(hil_framing_send(&reader.framing, nullptr, nullptr));
    CHECK(line.Said() == std::string(1, 0) + Framed(message));
  }
}

void FramesAreGivenUpWhenNobodyTakesThem() {
  Line line;
  Reader reader(&line);
  hil_framing_encode(&reader.framing, 5);
  line.takes = 0;
  line.ready = false;
  CHECK(!hil_framing_send(&reader.framing, nullptr, nullptr));
  line.ready = true;
  const uint32_t before = line.now = UINT32_MAX - 100;  // the clock may wrap
  CHECK(!hil_framing_send(&reader.framing, nullptr, nullptr));
  CHECK(line.now - before >= HIL_LINK_STALL_MS && line.now - before < HIL_LINK_STALL_MS + 10);
  line.takes = 100;
  CHECK(hil_framing_send(&reader.framing, nullptr, nullptr));
}

// ---- RTT

void RttRingsCarryBytesAndDistrustTheHost() {
  hil_rtt_block block;
  uint8_t up[8];
  uint8_t down[8];
  const hil_rtt rtt = {&block, up, sizeof(up), down, sizeof(down)};
  std::memset(static_cast<void*>(&block), 0xEE, sizeof(block));
  hil_rtt_start(&rtt);
  CHECK(std::memcmp(const_cast<const char*>(block.id), "SEGGER RTT\0\0\0\0\0\0", 16) == 0);
  hil_rtt* const context = const_cast<hil_rtt*>(&rtt);
  uint8_t data[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
  CHECK_EQUAL(hil_rtt_write(context, data, 9), 7);  // one byte stays free
  CHECK_EQUAL(hil_rtt_write(context, data, 9), 0);
  block.up.read = 5;
  CHECK_EQUAL(hil_rtt_write(context, data, 9), 1);  // to the end of the ring, then from its start
  CHECK_EQUAL(hil_rtt_write(context, data, 9), 4);
  std::memcpy(down, "abcdefgh", 8);
  block.down.read = 6;
  block.down.write = 3;
  CHECK_EQUAL(hil_rtt_read(context, data, 16), 2);
  CHECK(std::memcmp(data, "gh", 2) == 0);
  CHECK_EQUAL(hil_rtt_read(context, data, 2), 2);
  CHECK_EQUAL(hil_rtt_read(context, data, 2), 1);
  CHECK_EQUAL(hil_rtt_read(context, data, 2), 0);
  block.down.read = 0xFFFFFFFF;
  block.down.write = 8;
  CHECK_EQUAL(hil_rtt_read(context, data, 16), 0);  // both are taken for 0
  block.up.read = 1000;
  block.up.write = 1000;
  CHECK_EQUAL(hil_rtt_write(context, data, 16), 7);
}

constexpr Test kTests[] = {
    {"Crc32IsTheIeeeOne", Crc32IsTheIeeeOne},
    {"CobsMatchesThePublishedExamples", CobsMatchesThePublishedExamples},
    {"CobsRefusesDamage", CobsRefusesDamage},
    {"FramesComeInAnyPieces", FramesComeInAnyPieces},
    {"FramesOfTheLongestLengthAreTakenAndLongerOnesDropped", FramesOfTheLongestLengthAreTakenAndLongerOnesDropped},
    {"FramesThatAreDamagedAreDropped", FramesThatAreDamagedAreDropped},
    {"FramesAreWrittenBehindAZero", FramesAreWrittenBehindAZero},
    {"FramesAreGivenUpWhenNobodyTakesThem", FramesAreGivenUpWhenNobodyTakesThem},
    {"RttRingsCarryBytesAndDistrustTheHost", RttRingsCarryBytesAndDistrustTheHost},
};

}  // namespace

Span<const Test> LinkTests() { return kTests; }

}  // namespace hil::test
