// Operations on the objects of a loop from another thread: each is refused, or ends the program before it does harm.
#include <fcntl.h>
#include <sys/eventfd.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "support/case/coroutines.hpp"
#include "support/process/last_words.hpp"
#include "support/process/remote_loop.hpp"
#include "support/traffic/conns.hpp"
#include "sys/socket/file_descriptor.hpp"
#include "sys/socket/socket.hpp"
#include "uring6/descriptor.hpp"
#include "uring6/loop_group.hpp"
#include "uring6/tcp.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

/// A packet_conn, a listener and a connection of a loop that runs on another thread. All of them are destroyed there.
struct foreign_conns {
  foreign_conns() {
    there.call([this] {
      packets = open_conn(there.loop);
      listener = or_throw(listen_tcp(there.loop, "tcp6", "[::1]:0"));
      client = or_throw(open_socket(AF_INET6, SOCK_STREAM));
      or_throw(connect_socket(client.get(), or_throw(listener.local_endpoint())));
    });
    std::promise<void> accepted;
    const auto accept = [&]() -> task<> {
      auto got = co_await listener.accept();
      stream = or_throw(std::move(got));
      accepted.set_value();
    };
    auto accepting = std::make_unique<task<>>(accept());
    there.call([&] { accepting->handle().resume(); });
    accepted.get_future().wait();
    there.call([&] { accepting.reset(); });
  }
  ~foreign_conns() {
    there.call([this] {
      packets = {};
      listener = {};
      stream = {};
    });
  }

  remote_loop there;
  packet_conn packets;
  tcp_listener listener;
  tcp_conn stream;
  file_descriptor client;
};

TEST_CASE("on another thread options, counters and closing are refused, and endpoints are given", "[threads]") {
  foreign_conns of;
  packet_conn& packets = of.packets;
  CHECK(packets.set_control_message(all_control, true).error() == errc::wrong_thread);
  CHECK(packets.join_group(or_throw(ip_address::parse("ff02::114"))).error() == errc::wrong_thread);
  CHECK(packets.set_hop_limit(3).error() == errc::wrong_thread);
  CHECK(packets.hop_limit().error() == errc::wrong_thread);
  CHECK(packets.detach_bpf().error() == errc::wrong_thread);
  CHECK(packets.set_deadline({}).error() == errc::wrong_thread);
  CHECK(packets.close().error() == errc::wrong_thread);
  CHECK(packets.release().error() == errc::wrong_thread);

  CHECK(of.stream.shutdown(stream_half::both).error() == errc::wrong_thread);
  CHECK(of.stream.set_no_delay(false).error() == errc::wrong_thread);
  CHECK(of.stream.keep_alive().error() == errc::wrong_thread);
  CHECK(of.stream.close().error() == errc::wrong_thread);
  CHECK(of.listener.set_deadline({}).error() == errc::wrong_thread);
  CHECK(of.listener.close().error() == errc::wrong_thread);

  CHECK(name_of(packets).address == ip_address::loopback());
  CHECK(or_throw(of.stream.local_endpoint()) == or_throw(of.listener.local_endpoint()));
  CHECK(or_throw(of.stream.peer_endpoint()) == or_throw(local_endpoint(of.client.get())));

  CHECK(of.there.loop.stats().turns == 0);
  CHECK(of.there.call([&] { return of.there.loop.stats().turns; }) > 0);
  or_throw(of.there.call([&] { return packets.set_hop_limit(3); }));
}

TEST_CASE("on another thread the counters of a conn read as 0, on the loop's thread they have their values",
          "[threads]") {
  remote_loop there;
  auto conn = there.call([&] { return open_conn(there.loop); });
  std::promise<bool> sent;
  const auto send = [&]() -> task<> {
    const endpoint self = name_of(conn);
    const auto gone = co_await conn.write_to(as_payload("x"), self);
    sent.set_value(gone.has_value());
  };
  auto sending = std::make_unique<task<>>(send());
  there.call([&] { sending->handle().resume(); });
  CHECK(sent.get_future().get());
  CHECK(conn.stats().sent_datagrams == 0);
  CHECK(there.call([&] { return conn.stats().sent_datagrams; }) == 1);
  there.call([&] {
    sending.reset();
    conn = {};
  });
}

TEST_CASE("no conn is opened for a loop on another thread", "[threads]") {
  remote_loop there;
  there.call([] {});
  const file_descriptor given = or_throw(open_socket(AF_INET6, SOCK_DGRAM));
  CHECK(listen_packet(there.loop, "udp6", "[::1]:0").error() == errc::wrong_thread);
  CHECK(dial_packet(there.loop, "udp6", "[::1]:9").error() == errc::wrong_thread);
  CHECK(adopt_packet(there.loop, given.get()).error() == errc::wrong_thread);
  CHECK(borrow_packet(there.loop, given.get()).error() == errc::wrong_thread);
  CHECK(listen_tcp(there.loop, "tcp6", "[::1]:0").error() == errc::wrong_thread);
  event_loop here;
  run(here, [&]() -> task<> {
    const auto dialed = co_await dial_tcp(there.loop, "tcp6", "[::1]:9");
    CHECK(dialed.error() == errc::wrong_thread);
  });
}

TEST_CASE("a group's loop belongs to its thread before the first task runs", "[threads]") {
  for (int round = 0; round < 50; ++round) {
    const loop_group group({.loops = 1, .pin = false});
    CHECK(listen_packet(group[0], "udp6", "[::1]:0").error() == errc::wrong_thread);
  }
}

TEST_CASE("a conn that is destroyed on another thread ends the program with a message") {
  CHECK(last_words([] {
          foreign_conns of;
          const packet_conn gone(std::move(of.packets));
        }).find("a conn was destroyed on another thread") != std::string::npos);
  CHECK(last_words([] {
          foreign_conns of;
          of.packets = packet_conn();
        }).find("a conn was destroyed on another thread") != std::string::npos);
  CHECK(last_words([] {
          foreign_conns of;
          of.stream = tcp_conn();
        }).find("a conn was destroyed on another thread") != std::string::npos);
  CHECK(last_words([] {
          foreign_conns of;
          of.listener = tcp_listener();
        }).find("a listener was destroyed on another thread") != std::string::npos);
}

TEST_CASE("a waiting task's frame that is destroyed on another thread ends the program with a message") {
  const std::string words = last_words([] {
    remote_loop there;
    const file_descriptor never(::eventfd(0, EFD_CLOEXEC));
    const auto reading = [&]() -> task<> {
      std::array<std::byte, 8> buffer;
      (void)co_await fd::read(never.get(), buffer);
    };
    auto reader = std::make_unique<task<>>(reading());
    there.call([&] { reader->handle().resume(); });
    reader.reset();
  });
  CHECK(words.find("a task was destroyed on another thread") != words.npos);
}

TEST_CASE("a loop that is destroyed on another thread, also between its runs, ends the program with a message") {
  const std::string words = last_words([] {
    std::optional<event_loop> loop(std::in_place);
    std::promise<void> ran;
    const auto nothing = []() -> task<> { co_return; };
    std::thread([&] {
      loop->run(nothing());
      ran.set_value();
      std::promise<void>().get_future().wait();  // for ever
    }).detach();
    ran.get_future().wait();
    loop.reset();
  });
  CHECK(words.find("a loop was destroyed on another thread") != words.npos);
}

}  // namespace
