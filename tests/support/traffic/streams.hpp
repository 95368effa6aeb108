// TCP connections over ::1, from both ends.
#pragma once

#include <sys/socket.h>

#include <catch2/catch_test_macros.hpp>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "support/case/coroutines.hpp"
#include "support/traffic/bytes.hpp"
#include "sys/socket/file_descriptor.hpp"
#include "sys/socket/socket.hpp"
#include "uring6/tcp.hpp"

namespace uring6::test {

inline tcp_listener open_listener(event_loop& loop, const tcp_options& options = {}) {
  return or_throw(listen_tcp(loop, "tcp6", "[::1]:0", options));
}

inline endpoint name_of(const tcp_listener& at) {
  return or_throw(at.local_endpoint());
}

/// Both ends of a connection over ::1.
struct ends {
  tcp_conn here;
  tcp_conn there;
};

inline task<ends> connect(event_loop& loop) {
  auto listener = open_listener(loop);
  const std::string name = name_of(listener).to_string();
  auto here = co_await dial_tcp(loop, "tcp6", name);
  auto there = co_await listener.accept();
  co_return ends{or_throw(std::move(here)), or_throw(std::move(there))};
}

/// A client without the library, connected before this returns.
inline file_descriptor plain_client(const endpoint& to) {
  file_descriptor fd = or_throw(open_socket(AF_INET6, SOCK_STREAM));
  or_throw(connect_socket(fd.get(), to));
  return fd;
}

inline task<bytes> read_exactly(tcp_conn& from, std::size_t length) {
  bytes all(length);
  std::size_t filled = 0;
  while (filled < length) {
    const auto got = co_await from.read(std::span(all).subspan(filled));
    REQUIRE(got);
    if (*got == 0) break;
    filled += *got;
  }
  all.resize(filled);
  co_return all;
}

inline bytes pattern(std::size_t length) {
  bytes made(length);
  for (std::size_t i = 0; i < length; ++i) made[i] = static_cast<std::byte>(i * 2'654'435'761U >> 16);
  return made;
}

}  // namespace uring6::test
