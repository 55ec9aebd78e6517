// TensorFlow Lite Micro with the model of this firmware: all that knows its API is in engine.cc.
#pragma once

#include <cstddef>
#include <cstdint>

namespace engine {

constexpr uint32_t kArenaBytes = 4096;

struct Tensor {
  int8_t* data;
  uint32_t bytes;
  float scale;
  int32_t zero_point;
  uint32_t rank;
  uint32_t shape[6];
};

struct OperatorTime {
  uint8_t code;
  uint32_t begin, end;  // on the board's clock
};

bool Start();
Tensor Input();
Tensor Output();
bool Invoke();

const uint8_t* Operators(uint32_t* count);  // builtin codes that the resolver knows

// Between Profile(true) and Profile(false) each operator is timed; how many were.
void Profile(bool on);
uint32_t Profiled();
bool ProfileOf(uint32_t index, OperatorTime* time);

uint32_t ArenaUsed();       // what the interpreter says
uint32_t ArenaHighWater();  // what was ever written
uint8_t Canaries();         // bit 0: the words below the arena are damaged, bit 1: those above; and mends them

}  // namespace engine
