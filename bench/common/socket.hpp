// Sockets on ::1 as every program of the benchmark opens them.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <utility>

namespace bench {

/// Ends the program's current work with errno's text: any failure in a benchmark makes it void.
[[noreturn]] void throw_errno(const std::string& what);

/// Returns `value`; throws if it is negative.
template <class T>
T check(T value, const char* what) {
  if (value < 0) throw_errno(what);
  return value;
}

/// A descriptor that closes itself.
class descriptor {
 public:
  descriptor() = default;
  explicit descriptor(int fd) noexcept : fd_(fd) {}
  descriptor(descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  descriptor& operator=(descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~descriptor();

  int get() const noexcept { return fd_; }

 private:
  int fd_ = -1;
};

/// [::1]:port.
sockaddr_in6 loopback(std::uint16_t port) noexcept;

/// A UDP socket bound to ::1 and a free port, with the buffer sizes of `widen_buffers`.
descriptor open_socket(int extra_flags = 0);

/// The same at an address of common/addresses.hpp; port 0: one that the kernel chooses.
descriptor open_at(const in6_addr& address, std::uint16_t port, int extra_flags = 0);

/// A TCP socket that does not block, bound to ::1 and a port that the kernel chooses, and listening.
descriptor open_listener();

/// Sets the buffer sizes that every subject gets: large enough that no datagram is lost for want of room.
void widen_buffers(int fd);

void set_option(int fd, int level, int option, int value);

std::uint16_t port_of(int fd);

}  // namespace bench
