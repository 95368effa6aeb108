// The sizes of the kernel's buffers: requested and granted.

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <limits>
#include <string>

#include "support/case/coroutines.hpp"
#include "support/machine/capabilities.hpp"
#include "support/machine/user_namespace.hpp"
#include "support/process/forked.hpp"
#include "support/traffic/conns.hpp"
#include "sys/socket/file_descriptor.hpp"
#include "sys/socket/socket.hpp"
#include "uring6/tcp.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

// Larger than any usual net.core.rmem_max and wmem_max.
constexpr std::size_t large = 1 << 28;

template <class Conn>
void check_sizes(Conn& at) {
  CHECK(at.set_receive_buffer(100'000) == 100'000U);
  CHECK(at.receive_buffer() == 100'000U);
  CHECK(at.set_send_buffer(50'000) == 50'000U);
  CHECK(at.send_buffer() == 50'000U);
  CHECK(at.receive_buffer() == 100'000U);
  // The kernel has a minimum.
  const auto least = at.set_receive_buffer(0);
  REQUIRE(least);
  CHECK(*least > 0);
  CHECK(at.receive_buffer() == *least);
  for (const std::size_t much : {std::size_t{1} << 30, std::size_t{1} << 40, std::size_t{1} << 63, ~std::size_t{0}}) {
    CHECK(at.set_receive_buffer(much).error() == errc::out_of_range);
    CHECK(at.set_send_buffer(much).error() == errc::out_of_range);
  }
  CHECK(at.receive_buffer() == *least);

  REQUIRE(at.close());
  CHECK(at.receive_buffer().error() == errc::closed);
  CHECK(at.send_buffer().error() == errc::closed);
  CHECK(at.set_receive_buffer(~std::size_t{0}).error() == errc::closed);
  CHECK(at.set_send_buffer(1).error() == errc::closed);
}

TEST_CASE("a conn's buffers have the requested sizes") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto packets = open_conn(loop);
    check_sizes(packets);
    auto listener = or_throw(listen_tcp(loop, "tcp6", "[::1]:0"));
    auto stream = co_await dial_tcp(loop, "tcp6", or_throw(listener.local_endpoint()).to_string());
    REQUIRE(stream);
    check_sizes(*stream);
  });
}

TEST_CASE("a conn reports the buffer sizes that its options requested, beyond the limit with privilege") {
  if (user_namespace_outcome() != "privileged") SKIP("CAP_NET_ADMIN is needed, outside of user namespaces");
  event_loop loop;
  const auto at = open_conn(loop, {.receive_buffer = large, .send_buffer = large});
  CHECK(at.receive_buffer() == large);
  CHECK(at.send_buffer() == large);
}

TEST_CASE("without privilege a conn's buffers have the limit's size, and the conn reports it") {
  // net.core.rmem_max and wmem_max, read by a socket: only the first network namespace shows them in /proc.
  const file_descriptor plain = or_throw(open_socket(AF_INET6, SOCK_DGRAM));
  const auto limit_of = [&](int option) {
    int value = std::numeric_limits<int>::max() / 2;
    socklen_t size = sizeof value;
    REQUIRE(::setsockopt(plain.get(), SOL_SOCKET, option, &value, size) == 0);
    REQUIRE(::getsockopt(plain.get(), SOL_SOCKET, option, &value, &size) == 0);
    return static_cast<std::size_t>(value / 2);  // the kernel reports twice the size that it grants, socket(7)
  };
  const std::size_t to_read = limit_of(SO_RCVBUF);
  const std::size_t to_send = limit_of(SO_SNDBUF);
  REQUIRE(to_read < large);
  const std::string said = in_child([&]() -> std::string {
    drop_capabilities();
    event_loop loop;
    const auto sizes = [](const packet_conn& of) {
      return std::to_string(or_throw(of.receive_buffer())) + " and " + std::to_string(or_throw(of.send_buffer()));
    };
    const auto opened = open_conn(loop, {.receive_buffer = large, .send_buffer = large});
    auto set = open_conn(loop, {.receive_buffer = 4096});
    const std::size_t granted_to_read = or_throw(set.set_receive_buffer(large));
    const std::size_t granted_to_send = or_throw(set.set_send_buffer(large));
    return sizes(opened) + ", " + std::to_string(granted_to_read) + " and " + std::to_string(granted_to_send) + ", " +
           sizes(set);
  });
  const std::string limits = std::to_string(to_read) + " and " + std::to_string(to_send);
  CHECK(said == limits + ", " + limits + ", " + limits);
}

}  // namespace
