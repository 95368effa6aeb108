// TCP sockets that were opened outside of the library, or that move from one loop to another.
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <new>
#include <optional>
#include <vector>

#include "support/case/allocations.hpp"
#include "support/case/coroutines.hpp"
#include "support/machine/descriptors.hpp"
#include "support/traffic/conns.hpp"
#include "sys/socket/file_descriptor.hpp"
#include "sys/socket/socket.hpp"
#include "uring6/tcp.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

file_descriptor listening_socket(int flags = 0) {
  file_descriptor fd = or_throw(open_socket(AF_INET6, SOCK_STREAM | flags));
  or_throw(bind_socket(fd.get(), endpoint{ip_address::loopback(), 0}));
  or_throw(listen_socket(fd.get(), 16));
  return fd;
}

/// A client without the library, connected before this returns.
file_descriptor client_of(int listener) {
  file_descriptor fd = or_throw(open_socket(AF_INET6, SOCK_STREAM));
  or_throw(connect_socket(fd.get(), or_throw(local_endpoint(listener))));
  return fd;
}

bool is_open(int fd) {
  return ::fcntl(fd, F_GETFD) >= 0;
}

/// Sends octets both ways between the conn and the plain socket of its peer.
task<> converse(tcp_conn& at, int peer) {
  const auto sent = co_await at.write(as_payload("to you"));
  CHECK(sent == 6U);
  std::array<char, 16> heard{};
  CHECK(::recv(peer, heard.data(), heard.size(), 0) == 6);
  REQUIRE(::send(peer, "and back", 8, 0) == 8);
  std::array<std::byte, 16> buffer;
  const auto got = co_await at.read(buffer);
  REQUIRE(got);
  CHECK(as_text(std::span(buffer).first(*got)) == "and back");
}

TEST_CASE("adopt: a listening socket becomes a listener, blocking or not, which owns it") {
  for (const int flags : {0, static_cast<int>(SOCK_NONBLOCK)}) {
    event_loop loop;
    file_descriptor fd = listening_socket(flags);
    const int number = fd.get();
    const endpoint name = or_throw(local_endpoint(number));
    auto listener = adopt_listener(loop, fd.release());
    REQUIRE(listener);
    CHECK(listener->native_handle() == number);
    CHECK(listener->local_endpoint() == name);
    run(loop, [&]() -> task<> {
      std::optional<tcp_conn> served;
      beside accepting(loop, [&]() -> task<> {
        auto accepted = co_await listener->accept();
        if (accepted) served = std::move(*accepted);
      });
      co_await yield();  // the accept waits before a client connects
      const file_descriptor client = client_of(number);
      co_await accepting.join();
      REQUIRE(served);
      co_await converse(*served, client.get());
    });
    REQUIRE(listener->close());
    CHECK_FALSE(is_open(number));
  }
}

TEST_CASE("adopt: a connection that another program accepted becomes a conn, which owns it") {
  for (const int flags : {0, static_cast<int>(SOCK_NONBLOCK)}) {
    event_loop loop;
    const file_descriptor listener = listening_socket();
    const file_descriptor client = client_of(listener.get());
    file_descriptor accepted(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | flags));
    REQUIRE(accepted);
    const int number = accepted.get();
    auto at = adopt_tcp(loop, accepted.release());
    REQUIRE(at);
    CHECK(at->native_handle() == number);
    CHECK(at->peer_endpoint() == or_throw(local_endpoint(client.get())));
    run(loop, [&]() -> task<> { co_await converse(*at, client.get()); });
    REQUIRE(at->close());
    CHECK_FALSE(is_open(number));
  }
}

TEST_CASE("an accepted conn is used on in another loop") {
  event_loop first;
  event_loop second;
  auto listener = or_throw(listen_tcp(first, "tcp6", "[::1]:0"));
  const file_descriptor client = client_of(listener.native_handle());
  std::optional<tcp_conn> moved;
  run(first, [&]() -> task<> {
    auto accepted = co_await listener.accept();
    REQUIRE(accepted);
    co_await converse(*accepted, client.get());
    const released_tcp released = or_throw(accepted->release());
    CHECK(released.unread.empty());
    moved = or_throw(adopt_tcp(second, released));
  });
  run(second, [&]() -> task<> { co_await converse(*moved, client.get()); });
}

TEST_CASE(
    "a released listener is used on in another loop, and the connections that it had accepted ahead are not lost") {
  event_loop first;
  event_loop second;
  const std::size_t before = open_descriptors();
  {
    auto old = or_throw(listen_tcp(first, "tcp6", "[::1]:0"));
    const int number = old.native_handle();
    std::vector<file_descriptor> clients;
    for (int i = 0; i < 8; ++i) clients.push_back(client_of(number));
    std::size_t served = 0;
    const auto serve = [&](tcp_listener& from) -> task<> {
      auto accepted = co_await from.accept();
      REQUIRE(accepted);
      co_await converse(*accepted, clients[served++].get());
    };
    run(first, [&]() -> task<> {
      // The first accept asks the kernel for one connection, the second for two, and the fourth, because more wait, for
      // four.
      for (int i = 0; i < 4; ++i) co_await serve(old);
      CHECK(or_throw(old.release()) == number);
      CHECK(is_open(number));
      CHECK_FALSE(old.is_open());
      CHECK(old.native_handle() == -1);
      CHECK(old.release().error() == errc::closed);
      CHECK(old.close().error() == errc::closed);
      // Three were accepted ahead; the third one is handed over with the listener.
      for (int i = 0; i < 2; ++i) co_await serve(old);
    });
    old = tcp_listener();
    std::array<char, 1> octet;
    CHECK(::recv(clients[served++].get(), octet.data(), octet.size(), 0) <= 0);

    auto fresh = or_throw(adopt_listener(second, number));
    clients.push_back(client_of(number));
    run(second, [&]() -> task<> {
      while (served < clients.size()) co_await serve(fresh);
    });
  }
  CHECK(open_descriptors() == before);
}

TEST_CASE(
    "releasing a listener ends its waiting accepts, and its next owner gets the connections that were not accepted") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto old = or_throw(listen_tcp(loop, "tcp6", "[::1]:0"));
    std::error_code seen;
    beside waiting(loop, [&]() -> task<> {
      const auto accepted = co_await old.accept();
      if (!accepted) seen = accepted.error();
    });
    co_await yield();
    co_await yield();
    const int number = or_throw(old.release());
    co_await waiting.join();
    CHECK(seen == errc::closed);
    const file_descriptor client = client_of(number);
    auto none = co_await old.accept();
    CHECK(none.error() == errc::closed);
    auto fresh = or_throw(adopt_listener(loop, number));
    auto accepted = co_await fresh.accept();
    REQUIRE(accepted);
    co_await converse(*accepted, client.get());
  });
}

TEST_CASE("adopt: a socket stays the caller's if there is no memory for its conn") {
  event_loop loop;
  const file_descriptor listener = listening_socket();
  const file_descriptor client = client_of(listener.get());
  const file_descriptor packets = or_throw(open_socket(AF_INET6, SOCK_DGRAM));
  if (!fail_allocation(0)) SKIP("the operators new are the sanitizer's");
  const auto adopts = [&](int fd, auto&& adopt) {
    int refused = 0;
    for (std::size_t n = 1;; ++n) {
      const int mine = ::fcntl(fd, F_DUPFD_CLOEXEC, 0);
      REQUIRE(mine >= 0);
      bool failed = false;
      bool met = false;  // an allocation was refused; some are not needed
      const auto end = [&met] {
        met = failed_allocations() > 0;
        (void)fail_allocation(0);
      };
      try {
        (void)fail_allocation(n);
        const auto made = adopt(mine);
        end();
        failed = !made;
        CHECK(is_open(mine));
      } catch (const std::bad_alloc&) {
        end();
        failed = true;
      }
      CHECK(is_open(mine) == failed);
      if (!met) break;
      if (!failed) continue;
      ++refused;
      ::close(mine);
    }
    CHECK(refused > 0);
  };
  adopts(listener.get(), [&](int fd) { return adopt_listener(loop, fd); });
  adopts(client.get(), [&](int fd) { return adopt_tcp(loop, fd); });
  adopts(packets.get(), [&](int fd) { return adopt_packet(loop, fd); });
  adopts(client.get(), [&](int fd) {
    const released_tcp from{.fd = fd, .unread = std::vector<std::byte>(100), .error = {}};
    return adopt_tcp(loop, from);
  });
}

TEST_CASE("adopt: a descriptor that is no TCP socket of the right kind is refused, and stays the caller's") {
  event_loop loop;
  const std::size_t before = open_descriptors();
  {
    const auto refused = [&](int fd) {
      const auto listener = adopt_listener(loop, fd);
      const auto at = adopt_tcp(loop, fd);
      REQUIRE_FALSE(listener);
      REQUIRE_FALSE(at);
      CHECK(listener.error() == at.error());
      CHECK(is_open(fd));
      return at.error();
    };
    const file_descriptor v4(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    CHECK(refused(v4.get()) == std::errc::address_family_not_supported);
    const file_descriptor packets(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    CHECK(refused(packets.get()) == std::errc::wrong_protocol_type);
    constexpr int mptcp = 262;  // IPPROTO_MPTCP
    const file_descriptor multipath(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, mptcp));
    if (multipath) CHECK(refused(multipath.get()) == std::errc::wrong_protocol_type);
    const file_descriptor file(::open("/dev/null", O_RDWR | O_CLOEXEC));
    CHECK(refused(file.get()) == std::errc::not_a_socket);

    const file_descriptor listener = listening_socket();
    CHECK(adopt_tcp(loop, listener.get()).error() == std::errc::not_connected);
    const file_descriptor client = client_of(listener.get());
    CHECK(adopt_listener(loop, client.get()).error() == std::errc::invalid_argument);
    const file_descriptor fresh = or_throw(open_socket(AF_INET6, SOCK_STREAM));
    CHECK(adopt_tcp(loop, fresh.get()).error() == std::errc::not_connected);
    CHECK(adopt_listener(loop, fresh.get()).error() == std::errc::invalid_argument);
  }
  CHECK(adopt_tcp(loop, -1).error() == std::errc::bad_file_descriptor);
  CHECK(adopt_listener(loop, -1).error() == std::errc::bad_file_descriptor);
  CHECK(open_descriptors() == before);
}

}  // namespace
