// The time at which the kernel got a datagram: SO_TIMESTAMPNS.

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <vector>

#include "support/case/coroutines.hpp"
#include "support/machine/network_namespace.hpp"
#include "support/machine/trains.hpp"
#include "support/traffic/conns.hpp"
#include "support/traffic/plain_sender.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using std::chrono::system_clock;

/// The interval from its construction to the call of `contains`. The kernel reads the same clock, so that the time of a
/// datagram that is sent meanwhile lies in it.
struct span_of_time {
  system_clock::time_point begin = system_clock::now();

  void contains(const control_message& control) const {
    REQUIRE(control.received_at);
    CHECK(*control.received_at >= begin);
    CHECK(*control.received_at <= system_clock::now());
  }
};

TEST_CASE("a datagram has its time of arrival at the kernel, once the conn has asked for it") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto from = open_conn(loop);
    auto to = open_conn(loop);
    std::array<std::byte, 64> buffer;
    auto sent = co_await from.write_to(as_payload("before"), name_of(to));
    REQUIRE(sent);
    auto got = co_await to.read_from(buffer);
    REQUIRE(got);
    CHECK_FALSE(got->control.received_at);

    REQUIRE(to.set_control_message(control_flags::timestamp | all_control, true));
    const span_of_time first;
    sent = co_await from.write_to(as_payload("one"), name_of(to));
    REQUIRE(sent);
    sent = co_await from.write_to(as_payload("two"), name_of(to));
    REQUIRE(sent);
    got = co_await to.read_from(buffer);
    REQUIRE(got);
    first.contains(got->control);
    // The time stamp takes the place of no other field.
    CHECK(got->control.traffic_class == 0);
    CHECK(got->control.hop_limit == 64);
    CHECK(got->control.destination == ip_address::loopback());
    CHECK_FALSE(got->control_truncated);
    const auto of_one = got->control.received_at;
    got = co_await to.read_from(buffer);
    REQUIRE(got);
    first.contains(got->control);
    CHECK(got->control.received_at >= of_one);

    REQUIRE(to.set_control_message(control_flags::timestamp, false));
    sent = co_await from.write_to(as_payload("after"), name_of(to));
    REQUIRE(sent);
    got = co_await to.read_from(buffer);
    REQUIRE(got);
    CHECK_FALSE(got->control.received_at);
    CHECK(got->control.hop_limit == 64);
  });
}

TEST_CASE("all datagrams of a train have one time, lent datagrams, too") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto to = open_conn(loop);
    REQUIRE(to.set_control_message(control_flags::timestamp, true));
    plain_sender from(name_of(to));
    const std::vector<std::byte> payload(1000);
    for (const bool lent : {false, true}) {
      const span_of_time whole;
      from.send_train(payload, 100);
      control_message first;
      int count = 0;
      const auto see = [&](const datagram& each) {
        whole.contains(each.control);
        if (count++ == 0) first = each.control;
        CHECK(each.control.received_at == first.received_at);
      };
      while (count < 10) {
        std::array<std::byte, 128> buffer;
        datagram_batch batch;
        if (lent) {
          const auto some = co_await to.receive(batch);
          REQUIRE(some);
          for (const datagram& each : batch) see(each);
        } else {
          const auto got = co_await to.read_from(buffer);
          REQUIRE(got);
          see(*got);
        }
      }
    }
    CHECK(to.stats().received_trains == (trains_are_received() ? 2 : 0));
  });
}

TEST_CASE("an IPv4 peer's datagram has its time, too, and a raw packet has one") {
  const network_namespace space;
  event_loop loop;
  run(loop, [&]() -> task<> {
    const auto inside = space.enter();
    auto dual = or_throw(listen_packet(loop, "udp", "127.0.0.1:0"));
    auto from = or_throw(listen_packet(loop, "udp", "127.0.0.1:0"));
    auto raw = or_throw(listen_packet(loop, "ip6:253", "::1"));
    REQUIRE(dual.set_control_message(control_flags::timestamp, true));
    REQUIRE(raw.set_control_message(control_flags::timestamp, true));
    std::array<std::byte, 64> buffer;
    const span_of_time both;
    auto sent = co_await from.write_to(as_payload("four"), name_of(dual));
    REQUIRE(sent);
    auto got = co_await dual.read_from(buffer);
    REQUIRE(got);
    both.contains(got->control);

    sent = co_await raw.write_to(as_payload("raw"), name_of(raw));
    REQUIRE(sent);
    got = co_await raw.read_from(buffer);
    REQUIRE(got);
    both.contains(got->control);
  });
}

}  // namespace
