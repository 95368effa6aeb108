// A conn that stops receiving keeps what has arrived, and leaves the rest to the other sockets of its port.
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <chrono>

#include "support/case/coroutines.hpp"
#include "support/machine/environment.hpp"
#include "support/traffic/conns.hpp"
#include "support/traffic/plain_sender.hpp"
#include "sys/socket/socket_options.hpp"
#include "uring6/datagram_batch.hpp"
#include "uring6/scope.hpp"
#include "uring6/timer.hpp"
#include "uring6/with_timeout.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using namespace std::chrono_literals;

packet_conn open_shared(event_loop& loop, const endpoint& at, bool dual_stack = false) {
  packet_options shared;
  shared.reuse_port = true;
  return or_throw(listen_packet(loop, dual_stack ? "udp" : "udp6", at, shared));
}

/// Sends from as many sockets as datagrams: the kernel chooses a member of the group for each.
void send_from_many(const endpoint& to, int datagrams) {
  for (int i = 0; i < datagrams; ++i) plain_sender(to).send("?");
}

/// Reads to the end; returns how many datagrams came.
task<int> read_to_the_end(packet_conn& pc, std::error_code& end) {
  std::array<std::byte, 64> buffer;
  for (int count = 0;;) {
    const auto got = co_await pc.read_from(buffer);
    if (got) ++count;
    if (got || is_transient(got.error())) continue;
    end = got.error();
    co_return count;
  }
}

/// Reads what is there.
task<int> read_what_is_there(packet_conn& pc) {
  std::array<std::byte, 64> buffer;
  for (int count = 0, silent_turns = 0;;) {
    const auto got = co_await pc.read_from(buffer, read_flags::dont_wait);
    if (got) {
      ++count;
      silent_turns = 0;
    } else if (++silent_turns == 3) {
      co_return count;
    }
  }
}

struct counted {
  int of_the_leaver = 0;
  int of_the_other = 0;
  int late = 0;  // datagrams that were sent after the leaver had left, and that the other got
  std::error_code end;
};

/// Sends 100 datagrams, lets one of two conns leave, and sends 100 more.
task<counted> leave_and_count(packet_conn& leaver, packet_conn& other, endpoint to) {
  counted all;
  send_from_many(to, 100);
  const auto stopped = co_await leaver.stop_receiving();
  REQUIRE(stopped);
  all.of_the_other = co_await read_what_is_there(other);
  send_from_many(to, 100);
  all.of_the_leaver = co_await read_to_the_end(leaver, all.end);
  all.late = co_await read_what_is_there(other);
  co_return all;
}

}  // namespace

TEST_CASE("stop_receiving: a conn leaves the group of its port with what it has, and the other gets the rest") {
  need_ipv6();
  event_loop loop;
  for (const ip_address& at : {ip_address::loopback(), ip_address()}) {
    packet_conn leaver = open_shared(loop, {at, 0});
    const std::uint16_t port = name_of(leaver).port;
    packet_conn other = open_shared(loop, {at, port});
    const counted all = loop.run(leave_and_count(leaver, other, {ip_address::loopback(), port}));
    CHECK(all.end == errc::closed);
    CHECK(all.of_the_leaver > 0);
    CHECK(all.of_the_leaver + all.of_the_other == 100);
    CHECK(all.late == 100);
  }
}

TEST_CASE("stop_receiving: a steering program that chose the leaver's place in the group chooses another conn") {
  need_ipv6();
  event_loop loop;
  packet_conn leaver = open_shared(loop, {ip_address::loopback(), 0});
  packet_conn other = open_shared(loop, name_of(leaver));
  const std::array<sock_filter, 1> first_place{{{0x06, 0, 0, 0}}};  // ret 0
  REQUIRE(
      set_option(leaver.native_handle(), option::attach_reuse_port_filter, std::span<const sock_filter>(first_place)));
  const counted all = loop.run(leave_and_count(leaver, other, name_of(leaver)));
  CHECK(all.of_the_leaver == 100);
  CHECK(all.late == 100);
}

TEST_CASE("stop_receiving: the conn goes on writing, from the addresses that it wrote from before") {
  need_ipv6();
  event_loop loop;
  packet_conn server = open_shared(loop, {ip_address(), 0}, true);
  const std::uint16_t port = name_of(server).port;
  const auto ask = [](packet_conn& at, const char* network, endpoint to, event_loop& in) -> task<> {
    packet_conn client = or_throw(dial_packet(in, network, to));
    const endpoint asker = name_of(client);
    // A connected conn takes only what its peer sends, so it shows the source of the answer.
    for (const bool batch : {false, true}) {
      std::array<std::byte, 64> buffer;
      if (batch) {
        std::array<write_slot, 1> answers{{{as_payload("bye"), {}, asker, {}}}};
        const auto sent = co_await at.write_batch(answers);
        CHECK(sent == 1U);
      } else {
        const auto sent = co_await at.write_to("bye", asker);
        CHECK(sent == 3U);
      }
      const auto got = co_await with_timeout(patience, client.read_from(buffer));
      REQUIRE(got);
      CHECK(got->source == to);
    }
  };
  const auto body = [&]() -> task<> {
    const auto stopped = co_await server.stop_receiving();
    REQUIRE(stopped);
    co_await ask(server, "udp6", {ip_address::loopback(), port}, loop);
    co_await ask(server, "udp", {ip_address::v4_mapped({127, 0, 0, 1}), port}, loop);
  };
  loop.run(body());
}

TEST_CASE("stop_receiving: for a conn that is alone at its port the kernel drops what arrives") {
  need_ipv6();
  event_loop loop;
  packet_conn pc = open_conn(loop);
  const auto body = [&]() -> task<> {
    send_from_many(name_of(pc), 10);
    const auto stopped = co_await pc.stop_receiving();
    REQUIRE(stopped);
    const auto drops = pc.stats().kernel_drops;
    send_from_many(name_of(pc), 5);
    std::error_code end;
    const int read = co_await read_to_the_end(pc, end);
    CHECK(read == 10);
    CHECK(end == errc::closed);
    CHECK(pc.stats().kernel_drops == drops + 5);
    CHECK(pc.is_open());
  };
  loop.run(body());
}

TEST_CASE("stop_receiving: a connected conn keeps its peer") {
  need_ipv6();
  event_loop loop;
  packet_conn peer = open_conn(loop);
  packet_conn pc = dial(loop, name_of(peer));
  const auto body = [&]() -> task<> {
    for (int i = 0; i < 3; ++i) {
      const auto sent = co_await peer.write_to("?", name_of(pc));
      CHECK(sent);
    }
    const auto stopped = co_await pc.stop_receiving();
    REQUIRE(stopped);
    const auto late = co_await peer.write_to("late", name_of(pc));
    CHECK(late);
    std::error_code end;
    const int read = co_await read_to_the_end(pc, end);
    CHECK(read == 3);
    CHECK(end == errc::closed);
    const auto bye = co_await pc.write("bye");
    CHECK(bye == 3U);
    std::array<std::byte, 8> buffer;
    const auto got = co_await with_timeout(patience, peer.read_from(buffer));
    REQUIRE(got);
    CHECK(as_text(got->payload) == "bye");
  };
  loop.run(body());
}

TEST_CASE("stop_receiving: every kind of read ends, also one that waits") {
  need_ipv6();
  event_loop loop;
  packet_conn pc = open_conn(loop);
  const auto wait = [](packet_conn& on, std::error_code& end) -> task<> {
    std::array<std::byte, 8> buffer;
    for (;;) {
      const auto got = co_await on.read_from(buffer);
      if (got || is_transient(got.error())) continue;
      end = got.error();
      co_return;
    }
  };
  const auto body = [&]() -> task<> {
    scope readers;
    std::array<std::error_code, 3> ends;
    for (auto& each : ends) readers.spawn(wait(pc, each));
    co_await sleep_for(1ms);
    send_from_many(name_of(pc), 1);
    const auto stopped = co_await pc.stop_receiving();
    REQUIRE(stopped);
    co_await readers.join();
    for (const auto& each : ends) CHECK(each == errc::closed);

    std::array<std::byte, 8> buffer;
    std::array<read_slot, 1> slots{{{buffer}}};
    datagram_batch lent;
    const auto batch = co_await pc.read_batch(slots);
    CHECK(batch.error() == errc::closed);
    const auto received = co_await pc.receive(lent);
    CHECK(received.error() == errc::closed);
    const auto impatient = co_await pc.read_from(buffer, read_flags::dont_wait);
    CHECK(impatient.error() == errc::closed);
    const auto again = co_await pc.stop_receiving();
    CHECK(again);
    CHECK(pc.close());
    const auto closed = co_await pc.stop_receiving();
    CHECK(closed.error() == errc::closed);
  };
  loop.run(body());
}

TEST_CASE("stop_receiving: all that has arrived is read with a pool of two buffers, too") {
  need_ipv6();
  event_loop loop({.receive_buffers = 2});
  packet_conn busy = open_conn(loop);
  packet_conn pc = open_conn(loop);
  const auto body = [&]() -> task<> {
    send_from_many(name_of(busy), 20);
    send_from_many(name_of(pc), 100);
    std::array<std::byte, 8> buffer;
    const auto first = co_await busy.read_from(buffer);  // the backlog of this conn keeps a buffer
    REQUIRE(first);
    const auto stopped = co_await pc.stop_receiving();
    REQUIRE(stopped);
    std::error_code end;
    const int read = co_await read_to_the_end(pc, end);
    CHECK(read == 100);
    CHECK(end == errc::closed);
  };
  loop.run(body());
}

TEST_CASE("stop_receiving: a stop during the call ends it, and the reads end all the same") {
  need_ipv6();
  event_loop loop;
  packet_conn pc = open_conn(loop);
  const auto body = [&]() -> task<> {
    send_from_many(name_of(pc), 3);
    const auto stopped = co_await with_timeout(0s, pc.stop_receiving());
    CHECK((stopped || stopped.error() == errc::deadline_exceeded));
    std::error_code end;
    const int read = co_await read_to_the_end(pc, end);
    CHECK(read == 3);
    CHECK(end == errc::closed);
  };
  loop.run(body());
}
