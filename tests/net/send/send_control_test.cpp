// The control messages that let datagrams leave as one train: those that say the same to the kernel.

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <optional>
#include <vector>

#include "net/send/send_control.hpp"
#include "support/case/coroutines.hpp"
#include "support/traffic/conns.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

TEST_CASE("two control messages are the same if every field that is sent is the same") {
  const control_message nothing;
  CHECK(detail::is_empty_for_send(nothing));
  CHECK(detail::is_equal_for_send(nothing, nothing));

  const auto other = or_throw(ip_address::parse("2001:db8::1"));
  std::vector<std::array<control_message, 2>> pairs(5);
  for (int i = 0; i < 2; ++i) {
    const ip_address address = i == 0 ? ip_address::loopback() : other;
    pairs[0][i].traffic_class = i;
    pairs[1][i].hop_limit = i;
    pairs[2][i].interface_index = i;
    pairs[3][i].source = address;
    pairs[4][i].next_hop = address;
  }
  for (const auto& [one, another] : pairs) {
    CHECK_FALSE(detail::is_empty_for_send(one));
    CHECK(detail::is_equal_for_send(one, one));
    CHECK_FALSE(detail::is_equal_for_send(one, another));
    CHECK_FALSE(detail::is_equal_for_send(one, nothing));
    CHECK_FALSE(detail::is_equal_for_send(nothing, one));
  }
}

TEST_CASE("a control message with a source or an interface does not share a train with those that have none") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto from = open_conn(loop);
    auto to = open_conn(loop);
    std::vector<write_slot> batch(12, {as_payload("same"), {}, name_of(to), {}});
    for (std::size_t i = 3; i < 6; ++i) batch[i].control.source = ip_address::loopback();
    for (std::size_t i = 6; i < 9; ++i) batch[i].control.interface_index = 1;
    const auto sent = co_await from.write_batch(batch);
    REQUIRE(sent == 12);
    CHECK(from.stats().sent_trains == 4);
  });
}

TEST_CASE("control message fields that describe a received datagram keep no other one from its train") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    auto from = open_conn(loop);
    auto to = open_conn(loop);
    REQUIRE(to.set_control_message(all_control, true));
    for (const std::optional<int> hop_limit : {std::optional<int>(), std::optional(7)}) {
      const auto trains = from.stats().sent_trains;
      std::vector<write_slot> batch;
      for (unsigned i = 0; i < 30; ++i) {
        control_message control{.hop_limit = hop_limit};
        if (i % 3 == 0) control.received_at.emplace(std::chrono::nanoseconds(i));
        if (i % 3 == 1) control.path_mtu = 1280 + i;
        if (i % 3 == 2) control.destination = ip_address::loopback();
        batch.push_back({as_payload("same"), control, name_of(to), {}});
      }
      const auto sent = co_await from.write_batch(batch);
      REQUIRE(sent == 30);
      CHECK(from.stats().sent_trains == trains + 1);
      std::array<std::byte, 16> buffer;
      for (int i = 0; i < 30; ++i) {
        const auto got = co_await to.read_from(buffer);
        REQUIRE(got);
        CHECK(as_text(got->payload) == "same");
        CHECK(got->control.hop_limit == hop_limit.value_or(64));
      }
    }
  });
}

}  // namespace
