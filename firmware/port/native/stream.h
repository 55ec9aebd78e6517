// The link of the native port as a stream of bytes: a terminal, a socket, a descriptor that was handed down.
#pragma once

#include <cstddef>

#include "link/hil_port.h"

namespace hil::native {

// where: the path of a terminal or of a Unix socket, or the number of an open descriptor. What has a path is opened
// again when it went away and came back. False when it cannot be opened; errno says why.
bool OpenStream(const char* where);

// Null before OpenStream().
const hil_port* TheStream();

// From now on the log goes there, among the frames. What the other side does not take is lost.
void LogOnStream();
bool LogsOnStream();
void StreamLog(const char* text, size_t size);

}  // namespace hil::native
