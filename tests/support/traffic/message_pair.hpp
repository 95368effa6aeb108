// The channel of a hand-over, with both ends in this process.
#pragma once

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <catch2/catch_test_macros.hpp>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

#include "net/handover/handover_message.hpp"
#include "support/case/coroutines.hpp"
#include "support/traffic/conns.hpp"
#include "sys/socket/descriptor_message.hpp"
#include "sys/socket/socket.hpp"
#include "uring6/handover.hpp"
#include "uring6/with_timeout.hpp"

namespace uring6::test {

struct message_pair {
  message_pair() {
    std::array<int, 2> fds{};
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds.data()) != 0)
      throw std::system_error(errno, std::system_category(), "socketpair");
    old = file_descriptor(fds[0]);
    next = file_descriptor(fds[1]);
  }

  file_descriptor old;   // the predecessor's end
  file_descriptor next;  // the successor's; `take_over` closes it: `next.release()`
};

/// A message that a test writes itself.
class written_message {
 public:
  template <class Write>
  explicit written_message(Write write) : octets_(detail::longest_message) {
    wire::writer to(octets_);
    write(to);
    octets_.resize(or_throw(to.size()));
  }
  operator std::span<const std::byte>() const noexcept { return octets_; }  // NOLINT(google-explicit-constructor)
  std::vector<std::byte>& octets() noexcept { return octets_; }

 private:
  std::vector<std::byte> octets_;
};

inline written_message short_message(detail::handover_kind kind, std::uint32_t value = 0) {
  return written_message([&](wire::writer& to) { write_short(to, kind, value); });
}

/// Sends numbered datagrams to a conn.
class number_sender {
 public:
  explicit number_sender(const endpoint& to) : to_(to), fd_(or_throw(open_socket(AF_INET6, SOCK_DGRAM))) {}

  void send(std::uint64_t count) {
    const sockaddr_in6 name = to_.to_sockaddr();
    for (std::uint64_t i = 0; i < count; ++i) {
      const numbered each(next_++);
      if (::sendto(fd_.get(), each.bytes.data(), each.bytes.size(), 0, reinterpret_cast<const sockaddr*>(&name),
                   sizeof name) != std::ssize(each.bytes))
        throw std::system_error(errno, std::system_category(), "sendto");
    }
  }

 private:
  endpoint to_;
  file_descriptor fd_;
  std::uint64_t next_ = 0;
};

/// Reads datagrams with the numbers `next` to `end` - 1, in this order.
inline task<> read_numbers(packet_conn& pc, std::uint64_t next, std::uint64_t end) {
  std::array<std::byte, 64> buffer;
  for (; next < end; ++next) {
    const auto got = co_await with_timeout(patience, pc.read_from(buffer));
    REQUIRE(got);
    REQUIRE(number_in(got->payload) == next);
  }
}

}  // namespace uring6::test
