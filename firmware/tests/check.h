// The least that a unit test needs: named tests, and a check that says what it saw.
#pragma once

#include <cstdio>
#include <cstdlib>

#include "base/span.h"

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

struct Test {
  const char* name;
  void (*run)();
};

inline void Run(Span<const Test> tests) {
  for (const Test& test : tests) {
    const int before = failures;
    test.run();
    std::printf("%s %s\n", failures == before ? "ok  " : "FAIL", test.name);
  }
}

// Of the other files.
Span<const Test> LinkTests();
Span<const Test> AgentTests();

}  // namespace hil::test

#define CHECK_EQUAL(seen, wanted) hil::test::CheckEqual((seen), (wanted), #seen, __FILE__, __LINE__)
#define CHECK(condition) hil::test::CheckEqual((condition), true, #condition, __FILE__, __LINE__)
