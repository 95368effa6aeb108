// System calls that must succeed, and the pipe that a child process writes to.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>
#include <system_error>

#include "sys/socket/file_descriptor.hpp"

namespace uring6::test {

/// Throws std::system_error with errno unless `succeeded`.
inline void require(bool succeeded, const char* what) {
  if (!succeeded) throw std::system_error(errno, std::system_category(), what);
}

struct pipe_ends {
  file_descriptor read;
  file_descriptor write;
};

/// Close-on-exec.
inline pipe_ends make_pipe() {
  std::array<int, 2> ends{};
  require(::pipe2(ends.data(), O_CLOEXEC) == 0, "pipe2");
  return {file_descriptor(ends[0]), file_descriptor(ends[1])};
}

/// Appends the available octets, at least one; false at the end of the stream.
inline bool read_some(const file_descriptor& from, std::string& text) {
  std::array<char, 65536> part;
  const ssize_t length = ::read(from.get(), part.data(), part.size());
  require(length >= 0, "read");
  text.append(part.data(), static_cast<std::size_t>(length));
  return length > 0;
}

inline std::string read_all(const file_descriptor& from) {
  std::string text;
  while (read_some(from, text)) {
  }
  return text;
}

}  // namespace uring6::test
