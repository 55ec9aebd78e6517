// Gives the firmware's own bundle parser a bundle with each single bit flipped,
// in one process under the sanitizers.
//
//   bundle_flips FILE plain      each flip must be refused
//   bundle_flips FILE rehashed   the hash is made right again after each flip
//   behind the header: the metadata is read,
//                                and what it says may be refused or not, but
//                                never harms the parser
//
// Prints the number of flips and, per status, how often it came.
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "bundle/bundle.h"
#include "bundle/sha256.h"

namespace {

constexpr size_t kHeaderBytes = 64;
constexpr size_t kHashAt = 32;
constexpr hil::BundleLimits kLimits = {40000, 40960, 524288};

void Rehash(std::vector<uint8_t> *bundle) {
  std::fill_n(bundle->begin() + kHashAt, 32, uint8_t{0});
  hil::Sha256 sha;
  sha.Update(hil::Bytes(bundle->data(), bundle->size()));
  const hil::Sha256Digest digest = sha.Finish();
  std::copy(digest.begin(), digest.end(), bundle->begin() + kHashAt);
}

uint32_t Parse(const std::vector<uint8_t> &bundle) {
  static hil::Bundle parsed;
  parsed = {};
  // A copy of exact size on the heap: the sanitizer sees every byte read beyond
  // it.
  const std::vector<uint8_t> region(bundle);
  hil::Bytes further;
  hil::BundleResult result = hil::ParseBundle(
      hil::Bytes(region.data(), region.size()), kLimits, &parsed, &further);
  static hil::InputPart input;
  hil::FurtherItem item;
  item.input = &input;
  while (result.ok() && !further.empty()) {
    result = hil::ParseFurther(&further, kLimits, &item);
  }
  return static_cast<uint32_t>(result.status);
}

} // namespace

int main(int argc, char **argv) {
  if (argc != 3) {
    return 2;
  }
  const bool rehashed = std::strcmp(argv[2], "rehashed") == 0;
  std::ifstream file(argv[1], std::ios::binary);
  std::vector<uint8_t> bundle((std::istreambuf_iterator<char>(file)),
                              std::istreambuf_iterator<char>());
  if (bundle.size() < kHeaderBytes || Parse(bundle) != 0) {
    std::fprintf(stderr, "the whole bundle is refused\n");
    return 2;
  }
  std::map<uint32_t, size_t> count;
  const size_t first = rehashed ? kHeaderBytes * 8 : 0;
  for (size_t bit = first; bit < bundle.size() * 8; ++bit) {
    const auto mask = static_cast<uint8_t>(1u << (bit % 8));
    bundle[bit / 8] ^= mask;
    if (rehashed) {
      Rehash(&bundle);
    }
    ++count[Parse(bundle)];
    bundle[bit / 8] ^= mask;
  }
  std::printf("flips %zu\n", bundle.size() * 8 - first);
  for (const auto &[status, times] : count) {
    std::printf("%u %zu\n", status, times);
  }
  return 0;
}
