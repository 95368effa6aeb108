// Sends without the library: at once, also while the loop does not run.
#pragma once

#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include <catch2/catch_test_macros.hpp>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

#include "support/traffic/conns.hpp"
#include "sys/socket/file_descriptor.hpp"
#include "sys/socket/socket.hpp"

namespace uring6::test {

/// A socket that sends to one endpoint.
class plain_sender {
 public:
  explicit plain_sender(const endpoint& to) : fd_(or_throw(open_socket(AF_INET6, SOCK_DGRAM))) {
    or_throw(connect_socket(fd_.get(), to));
  }

  void send(std::span<const std::byte> payload) {
    REQUIRE(::send(fd_.get(), payload.data(), payload.size(), 0) == std::ssize(payload));
  }
  void send(std::string_view text) { send(as_payload(text)); }
  /// For threads other than the test's own.
  [[nodiscard]] bool try_send(std::span<const std::byte> payload) noexcept {
    return ::send(fd_.get(), payload.data(), payload.size(), 0) == std::ssize(payload);
  }

  /// Sends one train: datagrams of `segment` octets, the last one shorter. UDP_SEGMENT
  void send_train(std::span<const std::byte> payload, std::uint16_t segment) {
    const int value = segment;
    REQUIRE(::setsockopt(fd_.get(), IPPROTO_UDP, UDP_SEGMENT, &value, sizeof value) == 0);
    send(payload);
    const int off = 0;
    REQUIRE(::setsockopt(fd_.get(), IPPROTO_UDP, UDP_SEGMENT, &off, sizeof off) == 0);
  }

  [[nodiscard]] endpoint name() const { return or_throw(local_endpoint(fd_.get())); }

 private:
  file_descriptor fd_;
};

}  // namespace uring6::test
