// Datagrams by sockets without the library.
#pragma once

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <string>
#include <string_view>

#include "sys/socket/file_descriptor.hpp"
#include "uring6/address.hpp"

namespace uring6::test {

inline ip_address parse(const char* text) {
  return or_throw(ip_address::parse(text));
}

/// Sends a datagram; false if the kernel does not take it.
inline bool send_text(const file_descriptor& from, std::string_view text, const endpoint& to) {
  const sockaddr_in6 name = to.to_sockaddr();
  return ::sendto(from.get(), text.data(), text.size(), 0, reinterpret_cast<const sockaddr*>(&name), sizeof name) ==
         static_cast<ssize_t>(text.size());
}

/// The next datagram of a plain socket, within a minute.
inline std::string receive(const file_descriptor& from, endpoint& source) {
  pollfd readable{from.get(), POLLIN, 0};
  REQUIRE(::poll(&readable, 1, 60'000) == 1);
  std::array<char, 1500> buffer{};
  sockaddr_in6 name{};
  socklen_t length = sizeof name;
  const ssize_t got =
      ::recvfrom(from.get(), buffer.data(), buffer.size(), 0, reinterpret_cast<sockaddr*>(&name), &length);
  REQUIRE(got >= 0);
  source = endpoint::from_sockaddr(name);
  return {buffer.data(), static_cast<std::size_t>(got)};
}

}  // namespace uring6::test
