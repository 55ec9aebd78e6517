// The least that a unit test needs: named tests, and a check that says what it saw.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace hil::test {

inline int failures = 0;

template <typename Seen, typename Wanted>
void CheckEqual(const Seen& seen, const Wanted& wanted, const char* what, const char* file, int line) {
  const auto s = static_cast<long long>(seen);
  const auto w = static_cast<long long>(wanted);
  if (s != w) {
    ++failures;
    std::printf("%s:%d: %s is %lld, wanted %lld\n", file, line, what, s, w);
  }
}

}  // namespace hil::test

#define CHECK_EQUAL(seen, wanted) hil::test::CheckEqual((seen), (wanted), #seen, __FILE__, __LINE__)
#define CHECK(condition) hil::test::CheckEqual((condition), true, #condition, __FILE__, __LINE__)
