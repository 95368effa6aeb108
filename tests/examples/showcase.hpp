// What the tests of the showcases share: the port, and looks at a program from outside.
#pragma once

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <iterator>
#include <string>

#include "sys/socket/file_descriptor.hpp"
#include "sys/socket/socket.hpp"
#include "uring6/address.hpp"

namespace uring6::test {

constexpr std::uint16_t showcase_port = 7777;  // of each program, in a namespace of the test's

/// The lines that /proc/net has of sockets that are bound to the port: as many programs are ready.
inline int listeners(const char* table, std::uint16_t port = showcase_port) {
  std::ifstream file(std::string("/proc/thread-self/net/") + table);
  const std::string all(std::istreambuf_iterator<char>(file), {});
  const std::string bound = fmt::format(":{:04X} ", port);
  int count = 0;
  for (std::size_t at = 0; (at = all.find(bound, at)) != all.npos; ++at) ++count;
  return count;
}

/// A file in memory, for what a program prints while it runs.
struct output_in_memory {
  file_descriptor fd{::memfd_create("output", MFD_CLOEXEC)};
  std::string name = "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(fd.get());

  std::string text() const {
    std::ifstream now(name);
    return std::string(std::istreambuf_iterator<char>(now), {});
  }
};

inline bool is_stopped(pid_t process) {
  std::ifstream status("/proc/" + std::to_string(process) + "/stat");
  const std::string all(std::istreambuf_iterator<char>(status), {});
  const std::size_t name_end = all.rfind(')');
  return name_end != all.npos && all.substr(name_end + 2, 1) == "T";
}

inline file_descriptor datagram_client() {
  return or_throw(open_socket(AF_INET6, SOCK_DGRAM));
}

/// A connection to the port of ::1.
inline file_descriptor connection() {
  file_descriptor client = or_throw(open_socket(AF_INET6, SOCK_STREAM));
  or_throw(connect_socket(client.get(), {or_throw(ip_address::parse("::1")), showcase_port}));
  return client;
}

}  // namespace uring6::test
