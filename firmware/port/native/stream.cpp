#include "port/native/stream.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace hil::native {
namespace {

constexpr int kClosed = -1;
constexpr uint32_t kOpenEveryMs = 10;

const char* path = nullptr;  // null for a descriptor that was handed down
int descriptor = kClosed;
uint32_t tried_at = 0;
bool logs = false;

uint32_t Milliseconds(void*) {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint32_t>(static_cast<uint64_t>(now.tv_sec) * 1000 + static_cast<uint64_t>(now.tv_nsec) / 1000000);
}

int Connect(const char* name) {
  sockaddr_un address{};
  if (std::strlen(name) >= sizeof(address.sun_path)) {
    errno = ENAMETOOLONG;
    return kClosed;
  }
  const int made = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  address.sun_family = AF_UNIX;
  std::strcpy(address.sun_path, name);
  if (made >= 0 && connect(made, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    const int reason = errno;
    close(made);
    errno = reason;
    return kClosed;
  }
  return made;
}

// A terminal passes bytes on as they are, like a UART.
void MakeRaw(int terminal) {
  termios settings;
  if (tcgetattr(terminal, &settings) == 0) {
    cfmakeraw(&settings);
    tcsetattr(terminal, TCSANOW, &settings);
  }
}

void OpenPath() {
  struct stat status;
  if (stat(path, &status) != 0) {
    return;
  }
  descriptor = S_ISSOCK(status.st_mode) ? Connect(path) : open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
}

void SetUp() {
  fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK);
  if (isatty(descriptor) != 0) {
    MakeRaw(descriptor);
  }
}

bool IsOpen(void*) {
  if (descriptor == kClosed && path != nullptr && Milliseconds(nullptr) - tried_at >= kOpenEveryMs) {
    tried_at = Milliseconds(nullptr);
    OpenPath();
    if (descriptor != kClosed) {
      SetUp();
    }
  }
  return descriptor != kClosed;
}

// Of read() or write(): how many bytes. The other end may have gone.
size_t Moved(ssize_t result, bool none_is_the_end) {
  if (result > 0) {
    return static_cast<size_t>(result);
  }
  const bool later = result < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR);
  if (!later && (result < 0 || none_is_the_end)) {
    close(descriptor);
    descriptor = kClosed;
  }
  return 0;
}

size_t Read(void*, uint8_t* data, size_t size) {
  return IsOpen(nullptr) ? Moved(read(descriptor, data, size), true) : 0;
}

size_t Write(void*, const uint8_t* data, size_t size) {
  return IsOpen(nullptr) ? Moved(write(descriptor, data, size), false) : 0;
}

constexpr hil_port kStream = {nullptr, Read, Write, IsOpen, Milliseconds};
bool opened = false;

}  // namespace

bool OpenStream(const char* where) {
  signal(SIGPIPE, SIG_IGN);
  char* end = nullptr;
  const long number = std::strtol(where, &end, 10);
  if (*where != 0 && *end == 0) {
    opened = fcntl(static_cast<int>(number), F_GETFD) >= 0;
    descriptor = opened ? static_cast<int>(number) : kClosed;
  } else {
    path = where;
    OpenPath();
    opened = descriptor != kClosed;
  }
  if (opened) {
    SetUp();
  }
  return opened;
}

const hil_port* TheStream() { return opened ? &kStream : nullptr; }

void LogOnStream() { logs = true; }
bool LogsOnStream() { return logs; }

void StreamLog(const char* text, size_t size) {
  if (descriptor != kClosed) {
    static_cast<void>(!write(descriptor, text, size));
  }
}

}  // namespace hil::native
