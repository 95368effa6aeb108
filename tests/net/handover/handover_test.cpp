// What a service hands over arrives at its successor: sockets with their options and memberships, and every datagram
// once. tests/examples/restart_test.cpp does it with two processes under load.
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "support/case/coroutines.hpp"
#include "support/machine/descriptors.hpp"
#include "support/machine/environment.hpp"
#include "support/machine/veth_pair.hpp"
#include "support/traffic/message_pair.hpp"
#include "support/traffic/plain_sender.hpp"
#include "support/traffic/streams.hpp"
#include "uring6/bpf.hpp"
#include "uring6/drain_on_stop.hpp"
#include "uring6/scope.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using namespace std::chrono_literals;

/// Hands a conn over to a successor in the same loop, which makes a conn of its own of the socket and confirms.
class succession {
 public:
  succession(event_loop& loop, packet_conn& old)
      : successor_(loop, take(loop, channel_.next.release(), next_)), over_(channel_.old.get()) {
    REQUIRE(over_.add("dns", old));
  }

  /// Returns the successor's conn.
  task<packet_conn> complete() {
    const auto gone = co_await over_.send();
    REQUIRE(gone);
    co_await successor_.join();
    REQUIRE(next_);
    co_return std::move(*next_);
  }

 private:
  static task<> take(event_loop& loop, int channel, std::optional<packet_conn>& into) {
    auto taken = co_await take_over(channel);
    takeover all = or_throw(std::move(taken));
    packet_conn pc = or_throw(all.adopt_packet(loop, "dns"));
    or_throw(all.confirm());
    into.emplace(std::move(pc));
  }

  message_pair channel_;
  std::optional<packet_conn> next_;
  beside successor_;
  handover over_;
};

/// A datagram that was read ahead has waited in the conn: the first read has taken the others out of the socket.
task<> read_ahead(packet_conn& pc, number_sender& sender, std::uint64_t count) {
  sender.send(count);
  co_await read_numbers(pc, 0, 1);
}

TEST_CASE("handover: what was read ahead comes first, then what waits in the socket, each datagram once, in order") {
  need_ipv6();
  constexpr std::uint64_t ahead = 1'000;
  constexpr std::uint64_t all = 3'000;
  event_loop loop;
  run(loop, [&]() -> task<> {
    packet_conn old = open_conn(loop, {.receive_offload = false});
    REQUIRE(old.set_control_message(all_control | control_flags::timestamp, true));
    number_sender sender(name_of(old));
    co_await read_ahead(old, sender, ahead);
    succession successor(loop, old);
    sender.send(all - ahead);
    packet_conn next = co_await successor.complete();

    CHECK(old.is_open());
    CHECK(old.stats().discarded == 0);
    CHECK(old.stats().received_datagrams == 1);
    std::array<std::byte, 64> buffer;
    const auto more = co_await old.read_from(buffer);
    CHECK(more.error() == errc::closed);
    CHECK(name_of(next) == name_of(old));
    const auto first = co_await next.read_from(buffer);
    REQUIRE(first);
    CHECK(number_in(first->payload) == 1);
    CHECK(first->control.destination == ip_address::loopback());
    CHECK(first->control.hop_limit == 64);
    CHECK(first->control.received_at.has_value());
    CHECK(first->source.address == ip_address::loopback());
    co_await read_numbers(next, 2, all);
    // The old conn still writes, and its end takes nothing away.
    const auto answered = co_await old.write_to(as_payload("answer"), first->source);
    CHECK(answered);
    REQUIRE(old.close());
    sender.send(10);
    co_await read_numbers(next, all, all + 10);
    CHECK(next.stats().received_datagrams == all + 9);
    CHECK(next.stats().kernel_drops == 0);
  });
}

TEST_CASE("handover: an empty datagram, a long one, one that was cut, and those of a train arrive as they are") {
  need_ipv6();
  const bool cut = GENERATE(false, true);
  CAPTURE(cut);
  event_loop loop;
  run(loop, [&]() -> task<> {
    const packet_options small{.receive_offload = false, .longest_datagram = 1'000};
    packet_conn old = open_conn(loop, cut ? small : packet_options{});
    plain_sender sender(name_of(old));
    std::vector<std::byte> long_one(60'000, std::byte{7});
    sender.send("first");
    sender.send(long_one);
    sender.send("");  // behind it the rest waits in the socket: an empty datagram ends a read of the kernel's
    sender.send_train(std::span(long_one).first(1'000), 100);
    sender.send("last");
    std::vector<std::byte> buffer(65'536);
    const auto first = co_await old.read_from(buffer);
    REQUIRE(first);
    succession successor(loop, old);
    packet_conn next = co_await successor.complete();
    const auto long_got = co_await next.read_from(buffer);
    REQUIRE(long_got);
    CHECK(long_got->full_length == long_one.size());
    CHECK(long_got->truncated == cut);
    CHECK(long_got->payload.size() == (cut ? 1'728 : long_one.size()));
    const auto empty = co_await next.read_from(buffer);
    REQUIRE(empty);
    CHECK(empty->payload.empty());
    CHECK(empty->source == sender.name());
    for (int i = 0; i < 10; ++i) {
      const auto piece = co_await next.read_from(buffer);
      REQUIRE(piece);
      CHECK(piece->payload.size() == 100);
    }
    const auto last = co_await next.read_from(buffer);
    REQUIRE(last);
    CHECK(as_text(last->payload) == "last");
  });
}

TEST_CASE("handover: memberships, options and the BPF program of a socket are the successor's") {
  const veth_pair cable;
  event_loop loop;
  run(loop, [&]() -> task<> {
    const ip_address group = or_throw(ip_address::parse("ff02::114"));
    const interface& link = cable.far.link;
    packet_conn old = cable.far.space.run([&] { return or_throw(listen_packet(loop, "udp6", "[::]:7777")); });
    REQUIRE(old.join_group(link, group));
    REQUIRE(old.set_hop_limit(7));
    REQUIRE(old.set_traffic_class(0x20));
    REQUIRE(old.set_control_message(control_flags::hop_limit, true));
    // Keeps the datagrams that begin with an 'a': the program sees the UDP header first.
    const bpf::program only_a{bpf::load_absolute{8, bpf::width::byte}, bpf::jump_if{bpf::jump_test::equal, 'a', 0, 1},
                              bpf::ret_constant{0xffff}, bpf::ret_constant{0}};
    REQUIRE(old.attach_bpf(only_a));
    succession successor(loop, old);
    packet_conn next = co_await successor.complete();
    REQUIRE(old.close());  // the membership is the socket's, not the descriptor's
    CHECK(next.hop_limit() == 7);
    CHECK(next.traffic_class() == 0x20);
    CHECK(next.enabled_control() == control_flags::hop_limit);
    CHECK(next.join_group(link, group).error() == errc::already_joined);
    packet_conn sender = cable.near.space.run([&] { return or_throw(listen_packet(loop, "udp6", "[::]:0")); });
    const endpoint there{group.with_zone(cable.near.link.index), 7777};
    for (const char* each : {"b dropped", "a kept"}) {
      const auto sent = co_await sender.write_to(as_payload(each), there);
      REQUIRE(sent);
    }
    std::array<std::byte, 64> buffer;
    const auto got = co_await with_timeout(patience, next.read_from(buffer));
    REQUIRE(got);
    CHECK(as_text(got->payload) == "a kept");
    CHECK(got->control.hop_limit.has_value());
  });
}

TEST_CASE("handover: waiting readers, and one about to resume, end with errc::closed and take nothing twice") {
  need_ipv6();
  event_loop loop;
  run(loop, [&]() -> task<> {
    packet_conn old = open_conn(loop);
    number_sender sender(name_of(old));
    std::uint64_t read = 0;
    const auto reader = [&]() -> task<> {
      std::array<std::byte, 64> buffer;
      for (;;) {
        const auto got = co_await old.read_from(buffer);
        if (!got) {
          CHECK(got.error() == errc::closed);
          co_return;
        }
        CHECK(number_in(got->payload) == read);
        ++read;
      }
    };
    beside first(loop, reader);
    beside second(loop, reader);
    succession successor(loop, old);
    co_await test::yield();
    sender.send(50);
    packet_conn next = co_await successor.complete();
    co_await first.join();
    co_await second.join();
    sender.send(50);
    co_await read_numbers(next, read, 100);
    CHECK(old.stats().received_datagrams == read);
  });
}

TEST_CASE("handover: several sockets, two of one name, and a listener arrive, and the listener accepts") {
  need_ipv6();
  event_loop loop;
  run(loop, [&]() -> task<> {
    packet_conn one = open_conn(loop);
    packet_conn two = open_conn(loop);
    tcp_listener listener = open_listener(loop);
    const endpoint at = name_of(listener);
    message_pair channel;
    handover over(channel.old.get());
    REQUIRE(over.add("dns", one));
    REQUIRE(over.add("control", listener));
    REQUIRE(over.add("dns", two));
    beside acceptor(loop, [&]() -> task<> {
      const auto peer = co_await listener.accept();
      CHECK(peer.error() == errc::closed);
    });
    std::optional<tcp_listener> next;
    std::vector<packet_conn> conns;
    beside successor(loop, [&]() -> task<> {
      auto all = co_await take_over(channel.next.release());
      REQUIRE(all);
      CHECK(all->names() == std::vector<std::string>{"dns", "control", "dns"});
      CHECK(all->adopt_packet(loop, "control").error() == std::errc::wrong_protocol_type);
      CHECK(all->adopt_listener(loop, "dns").error() == std::errc::wrong_protocol_type);
      CHECK(all->adopt_packet(loop, "http").error() == std::errc::invalid_argument);
      CHECK(all->discard("http").error() == std::errc::invalid_argument);
      conns.push_back(or_throw(all->adopt_packet(loop, "dns")));
      CHECK(all->confirm().error() == std::errc::invalid_argument);
      conns.push_back(or_throw(all->adopt_packet(loop, "dns")));
      next.emplace(or_throw(all->adopt_listener(loop, "control")));
      CHECK(all->names().empty());
      REQUIRE(all->confirm());
      CHECK(all->confirm().error() == errc::closed);
    });
    const auto gone = co_await over.send();
    REQUIRE(gone);
    co_await successor.join();
    co_await acceptor.join();
    CHECK_FALSE(listener.is_open());
    CHECK(name_of(conns.at(0)) == name_of(one));
    CHECK(name_of(conns.at(1)) == name_of(two));
    const file_descriptor client = plain_client(at);
    const auto peer = co_await with_timeout(patience, next->accept());
    REQUIRE(peer);
    CHECK(peer->peer_endpoint() == local_endpoint(client.get()));
  });
}

TEST_CASE("handover: the old listener returns what it had accepted ahead, and the new one what waits in the kernel") {
  need_ipv6();
  constexpr std::size_t connections = 8;
  event_loop loop;
  run(loop, [&]() -> task<> {
    tcp_listener listener = open_listener(loop);
    std::vector<file_descriptor> clients;
    for (std::size_t i = 0; i < connections; ++i) clients.push_back(plain_client(name_of(listener)));
    std::size_t served = 0;
    const auto accept_next = [&](tcp_listener& from) -> task<> {
      const auto peer = co_await with_timeout(patience, from.accept());
      REQUIRE(peer);
      CHECK(peer->peer_endpoint() == local_endpoint(clients.at(served++).get()));
    };
    // The first accept asks the kernel for one connection, the second for two, the fourth for four: three are ahead.
    for (int i = 0; i < 4; ++i) co_await accept_next(listener);
    message_pair channel;
    handover over(channel.old.get());
    REQUIRE(over.add("control", listener));
    std::optional<tcp_listener> next;
    beside successor(loop, [&]() -> task<> {
      auto all = co_await take_over(channel.next.release());
      REQUIRE(all);
      next.emplace(or_throw(all->adopt_listener(loop, "control")));
      REQUIRE(all->confirm());
    });
    const auto gone = co_await over.send();
    REQUIRE(gone);
    co_await successor.join();
    for (int i = 0; i < 3; ++i) co_await accept_next(listener);
    const auto none = co_await listener.accept();
    CHECK(none.error() == errc::closed);
    co_await accept_next(*next);
    CHECK(served == connections);
  });
}

TEST_CASE("handover: a socket that the successor discards is closed") {
  need_ipv6();
  event_loop loop;
  run(loop, [&]() -> task<> {
    const std::size_t before = open_descriptors();
    {
      packet_conn old = open_conn(loop);
      const endpoint at = name_of(old);
      message_pair channel;
      handover over(channel.old.get());
      REQUIRE(over.add("dns", old));
      beside successor(loop, [&]() -> task<> {
        auto all = co_await take_over(channel.next.release());
        REQUIRE(all);
        REQUIRE(all->discard("dns"));
        REQUIRE(all->confirm());
      });
      const auto gone = co_await over.send();
      REQUIRE(gone);
      co_await successor.join();
      REQUIRE(old.close());
      CHECK(listen_packet(loop, "udp6", at));
    }
    CHECK(open_descriptors() == before);
  });
}

TEST_CASE("handover: stop_receiving and release of a conn that was handed over take nothing from its successor") {
  need_ipv6();
  event_loop loop;
  run(loop, [&]() -> task<> {
    packet_conn old = open_conn(loop, {.reuse_port = true});
    number_sender sender(name_of(old));
    succession successor(loop, old);
    packet_conn next = co_await successor.complete();
    const auto stopped = co_await old.stop_receiving();
    CHECK(stopped);
    CHECK(old.release().error() == errc::closed);
    message_pair again;
    handover twice(again.old.get());
    REQUIRE(twice.add("dns", old));
    REQUIRE(send_message(again.next.get(), short_message(detail::handover_kind::ready)));
    const auto refused = co_await twice.send();
    CHECK(refused.error() == errc::closed);
    sender.send(3);
    co_await read_numbers(next, 0, 3);
  });
}

TEST_CASE("handover: a task in drain_on_stop ends without a stop when its conn is handed over") {
  need_ipv6();
  event_loop loop;
  run(loop, [&]() -> task<> {
    packet_conn old = open_conn(loop);
    bool ended = false;
    scope work;
    work.spawn(drain_on_stop(old, 5s, [](packet_conn& pc, bool& at_end) -> task<> {
      std::array<std::byte, 64> buffer;
      const auto got = co_await pc.read_from(buffer);
      CHECK(got.error() == errc::closed);
      at_end = true;
    }(old, ended)));
    succession successor(loop, old);
    const packet_conn next = co_await successor.complete();
    co_await work.join();
    CHECK(ended);
  });
}

TEST_CASE("handover: through 30 hand-overs under a flood each datagram comes once, or is counted as dropped",
          "[threads]") {
  need_ipv6();
  constexpr int times = 30;
  event_loop loop;
  packet_conn at = open_conn(loop, {.receive_offload = false});
  const endpoint there = name_of(at);
  std::uint64_t sent = 0;
  std::jthread flood([&](const std::stop_token& done) {
    plain_sender sender(there);
    while (!done.stop_requested()) {
      if (sender.try_send(numbered(sent))) ++sent;
    }
  });
  std::uint64_t received = 0;
  std::uint64_t next = 0;
  std::uint64_t drops = 0;
  const auto read = [&](std::uint64_t count) -> task<> {
    std::array<std::byte, 16> buffer;
    for (; count > 0; --count, ++received) {
      const auto got = co_await with_timeout(patience, at.read_from(buffer));
      REQUIRE(got);
      REQUIRE(number_in(got->payload) >= next);
      next = number_in(got->payload) + 1;
    }
  };
  run(loop, [&]() -> task<> {
    for (int i = 0; i < times; ++i) {
      co_await read(200);
      succession successor(loop, at);
      packet_conn taken = co_await successor.complete();
      REQUIRE(at.stats().discarded == 0);
      drops += at.stats().kernel_drops;
      at = std::move(taken);
    }
    flood.request_stop();
    flood.join();
    while (received + drops + at.stats().kernel_drops < sent) co_await read(1);
    CHECK(received + drops + at.stats().kernel_drops == sent);
  });
}

}  // namespace
