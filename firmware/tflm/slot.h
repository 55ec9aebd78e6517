// Static storage for what lives as long as the firmware: no heap, and no destructor that could run. An interpreter
// whose setup failed must never be destroyed: its destructor follows pointers that were not set yet.
#pragma once

#include <cstdint>
#include <new>
#include <utility>

namespace hil {

template <typename T>
class Slot {
 public:
  template <typename... Arguments>
  T& Emplace(Arguments&&... arguments) {
    object_ = new (storage_) T(std::forward<Arguments>(arguments)...);
    return *object_;
  }
  T* get() const { return object_; }

 private:
  alignas(T) uint8_t storage_[sizeof(T)] = {};
  T* object_ = nullptr;
};

}  // namespace hil
