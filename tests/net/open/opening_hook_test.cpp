// opening_hook: a caller sets options of a socket before it is bound or connected.

#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <string>
#include <system_error>
#include <type_traits>
#include <vector>

#include "support/case/coroutines.hpp"
#include "support/machine/descriptors.hpp"
#include "support/machine/network_namespace.hpp"
#include "support/traffic/conns.hpp"
#include "support/traffic/streams.hpp"
#include "sys/socket/socket.hpp"
#include "uring6/listen_group.hpp"
#include "uring6/loop_group.hpp"
#include "uring6/opening_hook.hpp"
#include "uring6/resolve.hpp"
#include "uring6/tcp.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

std::error_code set(int fd, int level, int name, int value) {
  if (::setsockopt(fd, level, name, &value, sizeof value) == 0) return {};
  return {errno, std::system_category()};
}

int get(int fd, int level, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  REQUIRE(::getsockopt(fd, level, name, &value, &size) == 0);
  return value;
}

/// Records its arguments, and whether the socket was neither bound nor connected then.
struct witness {
  std::error_code operator()(int fd, const endpoint& address) {
    addresses.push_back(address);
    fresh = fresh && or_throw(local_endpoint(fd)).address == ip_address() && !peer_endpoint(fd);
    return set(fd, SOL_SOCKET, SO_PRIORITY, 5);
  }

  std::vector<endpoint> addresses;
  bool fresh = true;
};

static_assert(std::is_trivially_destructible_v<opening_hook>);
static_assert(std::is_constructible_v<opening_hook, witness&>);
static_assert(!std::is_constructible_v<opening_hook, witness>, "it would refer to what is gone");

constexpr auto refuse = [](int, const endpoint&) -> std::error_code {
  return make_error_code(std::errc::operation_not_permitted);
};

TEST_CASE("a hook sets an option of a UDP socket before it is bound or connected") {
  event_loop loop;
  witness seen;
  const auto listening = or_throw(listen_packet(loop, "udp6", "[::1]:0", {.control = seen}));
  CHECK(get(listening.native_handle(), SOL_SOCKET, SO_PRIORITY) == 5);
  const endpoint name = name_of(listening);
  const auto dialed = or_throw(
      dial_packet(loop, "udp6", name.to_string(), {.local = endpoint{ip_address::loopback(), 0}, .control = seen}));
  CHECK(get(dialed.native_handle(), SOL_SOCKET, SO_PRIORITY) == 5);
  CHECK(seen.fresh);
  CHECK(seen.addresses == std::vector{endpoint{ip_address::loopback(), 0}, name});
}

TEST_CASE("a hook sees a raw socket before it is bound or connected") {
  const network_namespace space;
  const network_namespace::visit inside(space);
  event_loop loop;
  witness seen;
  const auto listening = or_throw(listen_packet(loop, "ip6:253", "::1", {.control = seen}));
  const auto dialed = or_throw(dial_packet(loop, "ip6:253", "::1", {.control = seen}));
  CHECK(get(dialed.native_handle(), SOL_SOCKET, SO_PRIORITY) == 5);
  CHECK(seen.fresh);
  CHECK(seen.addresses == std::vector<endpoint>(2, to_loopback));
  // SO_MARK needs a privilege, which this namespace gives.
  const auto mark = [](int fd, const endpoint&) { return set(fd, SOL_SOCKET, SO_MARK, 42); };
  const auto marked = or_throw(listen_packet(loop, "udp6", "[::1]:0", {.control = mark}));
  CHECK(get(marked.native_handle(), SOL_SOCKET, SO_MARK) == 42);
}

TEST_CASE("an option of a TCP socket that a hook sets holds for its connections") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    witness seen;
    auto listener = or_throw(listen_tcp(loop, "tcp6", "[::1]:0", {.control = seen}));
    const endpoint name = name_of(listener);
    const std::string text = name.to_string();
    // The peer learns the segment size in the SYN only.
    const auto short_segments = [&](int fd, const endpoint& address) {
      if (const auto error = seen(fd, address)) return error;
      return set(fd, IPPROTO_TCP, TCP_MAXSEG, 600);
    };
    const tcp_options options{.local = endpoint{ip_address::loopback(), 0}, .control = short_segments};
    auto dialed = co_await dial_tcp(loop, "tcp6", text, options);
    REQUIRE(dialed);
    auto accepted = co_await listener.accept();
    REQUIRE(accepted);
    CHECK(get(accepted->native_handle(), IPPROTO_TCP, TCP_MAXSEG) <= 600);
    CHECK(seen.fresh);
    CHECK(seen.addresses == std::vector{endpoint{ip_address::loopback(), 0}, name});
    // Also by name: the attempt is made after the name was resolved.
    auto named = co_await dial_tcp(loop, "tcp6", "::1", std::to_string(name.port), options);
    REQUIRE(named);
    CHECK(seen.addresses.size() == 3);
    CHECK(seen.addresses.back() == name);
  });
}

TEST_CASE("an error of a hook ends the opening, and leaves no descriptor open") {
  const network_namespace space;
  const auto inside = space.enter();
  event_loop loop;
  const std::size_t before = open_descriptors();
  run(loop, [&]() -> task<> {
    CHECK(listen_packet(loop, "udp6", "[::1]:0", {.control = refuse}).error() == std::errc::operation_not_permitted);
    CHECK(dial_packet(loop, "udp6", "[::1]:9", {.control = refuse}).error() == std::errc::operation_not_permitted);
    CHECK(listen_packet(loop, "ip6:253", "::1", {.control = refuse}).error() == std::errc::operation_not_permitted);
    CHECK(dial_packet(loop, "ip6:253", "::1", {.control = refuse}).error() == std::errc::operation_not_permitted);
    CHECK(listen_tcp(loop, "tcp6", "[::1]:0", {.control = refuse}).error() == std::errc::operation_not_permitted);
    const tcp_options options{.control = refuse};
    const auto dialed = co_await dial_tcp(loop, "tcp6", "[::1]:9", options);
    CHECK(dialed.error() == std::errc::operation_not_permitted);
  });
  CHECK(open_descriptors() == before);
}

TEST_CASE("after an error of a hook for one address the next address is tried, as in Go") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto listener = open_listener(loop);
    const endpoint good = name_of(listener);
    const endpoint bad{ip_address::loopback(), 9};
    const auto refuse_one = [&](int, const endpoint& address) {
      return address == bad ? make_error_code(std::errc::operation_not_permitted) : std::error_code();
    };
    const tcp_options options{.control = refuse_one};
    const std::array both{bad, good};
    auto dialed = co_await dial_tcp(loop, "tcp6", both, options);
    REQUIRE(dialed);
    CHECK(dialed->peer_endpoint() == good);
    const std::array none{bad, bad};
    const auto refused = co_await dial_tcp(loop, "tcp6", none, options);
    CHECK(refused.error() == std::errc::operation_not_permitted);
  });
}

TEST_CASE("a listen group calls the hook for each of its sockets", "[threads]") {
  loop_group group({.loops = 3, .cpus = {}, .pin = false, .loop = {}});
  witness seen;
  const auto serve = [](packet_conn) -> task<> { co_return; };
  listen_group_options options;
  options.packet.control = seen;
  const auto where = listen_group(group, "udp6", "[::1]:0", serve, options);
  REQUIRE(where);
  CHECK(seen.fresh);
  CHECK(seen.addresses.size() == 3);
  options.packet.control = refuse;
  const auto refused = listen_group(group, "udp6", "[::1]:0", serve, options);
  REQUIRE_FALSE(refused);
  CHECK(refused.error() == std::errc::operation_not_permitted);
}

}  // namespace
