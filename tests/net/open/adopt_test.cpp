// Sockets that were opened outside of the library.
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>

#include "support/case/coroutines.hpp"
#include "support/machine/descriptors.hpp"
#include "support/machine/network_namespace.hpp"
#include "support/machine/trains.hpp"
#include "support/traffic/conns.hpp"
#include "support/traffic/plain_sender.hpp"
#include "sys/socket/file_descriptor.hpp"
#include "sys/socket/socket.hpp"
#include "sys/socket/socket_options.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

file_descriptor bound_socket(int flags = 0) {
  file_descriptor fd = or_throw(open_socket(AF_INET6, SOCK_DGRAM | flags));
  or_throw(bind_socket(fd.get(), endpoint{ip_address::loopback(), 0}));
  return fd;
}

bool is_open(int fd) {
  return ::fcntl(fd, F_GETFD) >= 0;
}

/// Sends a datagram to itself and reads it; with a control message if `control`.
task<> echoes(packet_conn& pc) {
  std::array<std::byte, 64> buffer{};
  const endpoint self = name_of(pc);
  const auto sent = co_await pc.write_to(as_payload("there"), self);
  REQUIRE(sent.has_value());
  const auto got = co_await pc.read_from(buffer);
  REQUIRE(got.has_value());
  CHECK(as_text(got->payload) == "there");
  CHECK(got->source == self);
}

TEST_CASE("adopt: a bound socket becomes a conn, blocking or not, which owns it") {
  for (const int flags : {0, static_cast<int>(SOCK_NONBLOCK)}) {
    event_loop loop;
    file_descriptor fd = bound_socket(flags);
    const int number = fd.get();
    auto pc = adopt_packet(loop, fd.release());
    REQUIRE(pc.has_value());
    CHECK(pc->native_handle() == number);
    REQUIRE(pc->set_control_message(all_control, true).has_value());
    run(loop, [&]() -> task<> { co_await echoes(*pc); });
    REQUIRE(pc->close().has_value());
    CHECK_FALSE(is_open(number));
  }
}

TEST_CASE("adopt: a connected socket writes to its peer") {
  event_loop loop;
  packet_conn peer = open_conn(loop);
  file_descriptor fd = bound_socket();
  REQUIRE(connect_socket(fd.get(), name_of(peer)).has_value());
  auto pc = adopt_packet(loop, fd.release());
  REQUIRE(pc.has_value());
  CHECK(pc->peer_endpoint() == name_of(peer));
  run(loop, [&]() -> task<> {
    std::array<std::byte, 64> buffer{};
    const auto sent = co_await pc->write(as_payload("peer"));
    REQUIRE(sent.has_value());
    const auto got = co_await peer.read_from(buffer);
    REQUIRE(got.has_value());
    CHECK(got->source == name_of(*pc));
    const auto addressed = co_await pc->write_to(as_payload("x"), name_of(peer));
    CHECK(addressed.error() == std::errc::already_connected);
  });
}

TEST_CASE("adopt: trains are split, and with receive_offload off there are none") {
  for (const bool offload : {true, false}) {
    event_loop loop;
    packet_options options;
    options.receive_offload = offload;
    auto pc = adopt_packet(loop, bound_socket().release(), options);
    REQUIRE(pc.has_value());
    plain_sender sender(name_of(*pc));
    const std::array<std::byte, 1000> train{};
    sender.send_train(train, 100);
    run(loop, [&]() -> task<> {
      std::array<std::byte, 2048> buffer{};
      for (int i = 0; i < 10; ++i) {
        const auto got = co_await pc->read_from(buffer);
        REQUIRE(got.has_value());
        CHECK(got->payload.size() == 100);
      }
    });
    CHECK(pc->stats().received_datagrams == 10);
    if (!offload) CHECK(pc->stats().received_trains == 0);
  }
}

TEST_CASE("adopt: a descriptor that is no socket of a conn is refused, and stays the caller's") {
  event_loop loop;
  const auto refused = [&](int fd) {
    const auto adopted = adopt_packet(loop, fd);
    const auto borrowed = borrow_packet(loop, fd);
    REQUIRE_FALSE(adopted.has_value());
    REQUIRE_FALSE(borrowed.has_value());
    CHECK(adopted.error() == borrowed.error());
    CHECK(is_open(fd));
    return adopted.error();
  };
  const std::size_t before = open_descriptors();
  {
    const file_descriptor v4(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    CHECK(refused(v4.get()) == std::errc::address_family_not_supported);
    const file_descriptor local(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    CHECK(refused(local.get()) == std::errc::address_family_not_supported);
    const file_descriptor stream(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
    CHECK(refused(stream.get()) == std::errc::wrong_protocol_type);
    const file_descriptor lite(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_UDPLITE));
    if (lite) CHECK(refused(lite.get()) == std::errc::wrong_protocol_type);
    const file_descriptor file(::open("/dev/null", O_RDWR | O_CLOEXEC));
    CHECK(refused(file.get()) == std::errc::not_a_socket);
  }
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  ::close(ends[0]);
  ::close(ends[1]);
  for (const int gone : {-1, ends[0]}) {
    CHECK(adopt_packet(loop, gone).error() == std::error_code(EBADF, std::system_category()));
    CHECK(borrow_packet(loop, gone).error() == std::error_code(EBADF, std::system_category()));
  }
  CHECK(open_descriptors() == before);
}

TEST_CASE("borrow: closing the conn or the descriptor leaves the other one open") {
  event_loop loop;
  const std::size_t before = open_descriptors();
  {
    const file_descriptor fd = bound_socket();
    {
      auto pc = borrow_packet(loop, fd.get());
      REQUIRE(pc.has_value());
      CHECK(pc->native_handle() != fd.get());
      run(loop, [&]() -> task<> { co_await echoes(*pc); });
    }
    CHECK(is_open(fd.get()));
    auto again = borrow_packet(loop, fd.get());
    REQUIRE(again.has_value());
    const int number = fd.get();
    ::close(number);
    run(loop, [&]() -> task<> { co_await echoes(*again); });
    REQUIRE(::dup2(again->native_handle(), number) == number);  // its owner closes it once more
  }
  CHECK(open_descriptors() == before);
}

TEST_CASE("adopt: a conn takes over the socket that another one has released, also on another loop") {
  event_loop first;
  event_loop second;
  packet_conn pc = open_conn(first);
  run(first, [&]() -> task<> { co_await echoes(pc); });
  const auto released = pc.release();
  REQUIRE(released.has_value());
  CHECK_FALSE(pc.is_open());
  auto taken = adopt_packet(second, *released);
  REQUIRE(taken.has_value());
  run(second, [&]() -> task<> { co_await echoes(*taken); });
}

/// Sends a train of four datagrams of 100 octets.
task<> send_train_to(event_loop& loop, endpoint there) {
  packet_conn out = open_conn(loop);
  std::array<std::byte, 400> text{};
  auto batch = pieces_of(text, 100, there);
  const auto sent = co_await out.write_batch(batch);
  REQUIRE(sent == batch.size());
}

TEST_CASE("adopt: trains that wait in the socket are split, also with receive_offload off") {
  need_received_trains();
  event_loop loop;
  packet_conn old = open_conn(loop);
  run(loop, [&] { return send_train_to(loop, name_of(old)); });
  const auto released = or_throw(old.release());
  REQUIRE(released.datagrams.empty());
  packet_conn now = or_throw(adopt_packet(loop, released, {.receive_offload = false}));
  run(loop, [&]() -> task<> {
    for (int i = 0; i < 4; ++i) {
      std::array<std::byte, 1000> buffer;
      const auto got = co_await now.read_from(buffer);
      REQUIRE(got);
      REQUIRE(got->payload.size() == 100);
    }
  });
}

TEST_CASE("borrow: the owner goes on to read datagrams singly") {
  event_loop loop;
  const file_descriptor fd = or_throw(open_socket(AF_INET6, SOCK_DGRAM));
  or_throw(bind_socket(fd.get(), endpoint{ip_address::loopback(), 0}));
  packet_conn borrowed = or_throw(borrow_packet(loop, fd.get()));
  REQUIRE(borrowed.close());
  run(loop, [&] { return send_train_to(loop, or_throw(local_endpoint(fd.get()))); });
  std::array<std::byte, 1000> buffer;
  CHECK(::recv(fd.get(), buffer.data(), buffer.size(), MSG_DONTWAIT) == 100);
}

TEST_CASE("adopt: a socket that had UDP_SEGMENT set sends whole datagrams") {
  event_loop loop;
  packet_conn in = open_conn(loop);
  file_descriptor fd = or_throw(open_socket(AF_INET6, SOCK_DGRAM));
  or_throw(set_option(fd.get(), option::udp_segment, 100));
  packet_conn out = or_throw(adopt_packet(loop, fd.release()));
  run(loop, [&]() -> task<> {
    std::array<std::byte, 300> text{};
    const auto sent = co_await out.write_to(text, name_of(in));
    REQUIRE(sent);
    std::array<std::byte, 1000> buffer;
    const auto got = co_await in.read_from(buffer);
    REQUIRE(got);
    CHECK(got->payload.size() == 300);
  });
}

TEST_CASE("adopt: a dialed raw conn keeps its peer, although the kernel does not give a raw socket's peer") {
  const network_namespace space;
  const network_namespace::visit inside(space);
  event_loop loop;
  packet_conn dialed = or_throw(dial_packet(loop, "ip6:253", "::1"));
  const auto released = or_throw(dialed.release());
  packet_conn again = or_throw(adopt_packet(loop, released));
  CHECK(again.peer_endpoint() == to_loopback);
  run(loop, [&]() -> task<> {
    const auto sent = co_await again.write("x");
    CHECK(sent);
  });
}

}  // namespace
