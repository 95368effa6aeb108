// The check of payloads, the accounts of a window, and both ends of the harness's own traffic.
#include <netinet/udp.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cstring>

#include "common/payload.hpp"
#include "harness/measure/bookkeeping.hpp"
#include "harness/measure/kernel_counters.hpp"
#include "harness/peers/clients.hpp"
#include "harness/peers/ordered_sink.hpp"
#include "harness/peers/traffic.hpp"

using namespace bench;

namespace {

std::vector<std::byte> payload(std::size_t size, std::uint64_t sequence) {
  std::vector<std::byte> bytes(size);
  write_pattern(bytes.data(), size);
  write_stamp(bytes.data(), size, sequence);
  return bytes;
}

tally seen(const std::vector<std::byte>& bytes) {
  tally t;
  t.take(bytes.data(), bytes.size());
  return t;
}

}  // namespace

TEST_CASE("a_payload_as_sent_is_good") {
  for (const std::uint64_t sequence : {0u, 1u, 63u, 64u}) {
    CHECK(seen(payload(64, sequence)).bad == 0);
    CHECK(seen(payload(1200, sequence)).sequence_sum == sequence);
  }
}

TEST_CASE("a_cut_a_changed_stamp_and_a_changed_byte_are_bad") {
  auto cut = payload(64, 5);
  cut.resize(63);
  CHECK(seen(cut).bad == 1);
  auto renumbered = payload(64, 5);
  renumbered[0] ^= std::byte{1};
  CHECK(seen(renumbered).bad == 1);
  auto damaged = payload(64, full_check_interval);
  damaged[40] ^= std::byte{1};
  CHECK(seen(damaged).bad == 1);
  CHECK(seen(std::vector<std::byte>(3)).bad == 1);
}

TEST_CASE("a_train_is_as_many_datagrams_as_it_was_cut_from") {
  std::vector<std::byte> train;
  for (std::uint64_t i = 0; i < 3; ++i) {
    const auto each = payload(i < 2 ? 64 : 32, i);
    train.insert(train.end(), each.begin(), each.end());
  }
  tally t;
  t.take_train(train.data(), train.size(), 64);
  CHECK(t.datagrams == 3);
  CHECK(t.buffers == 1);
  CHECK(t.bad == 0);
}

TEST_CASE("a_datagram_that_came_twice_while_another_was_lost_shows_in_the_sum") {
  CHECK(sum_below(5) == 10);
  CHECK(mismatch(10, 3, 10 + 11 + 12) == 0);
  CHECK(mismatch(10, 3, 10 + 11 + 11) == 1);
}

TEST_CASE("books_balance_only_with_every_datagram_in_them") {
  CHECK(loss_account{.sent = 10, .received = 7, .dropped = 3, .bad = 0}.explained());
  CHECK_FALSE(loss_account{.sent = 10, .received = 7, .dropped = 2, .bad = 0}.explained());
  CHECK_FALSE(loss_account{.sent = 10, .received = 10, .dropped = 0, .bad = 1}.explained());
}

TEST_CASE("a_sink_gets_all_that_a_feeder_sends_singly_and_in_trains") {
  sink into(2);
  feeder from(64);
  const std::uint64_t segments = longest_train(64);
  REQUIRE(segments >= 2);
  from.send_singly(into.ports()[0], 100);
  from.send_trains(into.ports()[1], 10 * segments + 1, segments);
  into.empty();
  CHECK(into.seen().datagrams == 100 + 10 * segments + 1);
  CHECK(into.seen().bad == 0);
  CHECK(mismatch(0, from.sent(), into.seen().sequence_sum) == 0);
  CHECK(into.seen().buffers == 100 + 11);
  CHECK(drops_at(into.ports()) == 0);
}

TEST_CASE("what_a_full_socket_drops_is_found_at_its_port") {
  const descriptor full = open_socket();
  set_option(full.get(), SOL_SOCKET, SO_RCVBUF, 1);
  feeder from(64);
  from.send_singly(port_of(full.get()), 100);
  const std::uint64_t drops = drops_at({port_of(full.get())});
  tally t;
  std::vector<std::byte> room(largest_payload);
  while (take_buffer(full.get(), room, t)) {
  }
  CHECK(drops > 0);
  CHECK(t.datagrams + drops == 100);
}

TEST_CASE("a_peer_that_misses_a_packet_or_gets_one_twice_is_found") {
  ordered_sink peers(2);
  feeder first(64);
  first.send_singly(peers.ports()[0], 3);
  first.send_singly(peers.ports()[1], 1);  // number 3, where this peer wants number 0
  peers.empty();
  CHECK(peers.seen().datagrams == 4);
  CHECK(peers.seen().bad == 1);
  feeder again(64);
  again.send_trains(peers.ports()[0], 2, 2);  // numbers 0 and 1, which this peer has
  peers.empty();
  CHECK(peers.seen().datagrams == 6);
  CHECK(peers.seen().bad == 2);
}

namespace {

/// Answers what has arrived at `server`; a datagram of the sequence number `lost` gets the answer of the next one.
void answer_all(const descriptor& server, std::uint64_t lost) {
  std::array<std::byte, 64> payload{};
  sockaddr_in6 peer{};
  for (;;) {
    socklen_t length = sizeof peer;
    auto* const name = reinterpret_cast<sockaddr*>(&peer);
    if (::recvfrom(server.get(), payload.data(), payload.size(), MSG_DONTWAIT, name, &length) < 0) return;
    std::uint64_t sequence = 0;
    std::memcpy(&sequence, payload.data(), sizeof sequence);
    if (sequence == lost) write_stamp(payload.data(), payload.size(), sequence + 1);
    check(::sendto(server.get(), payload.data(), payload.size(), 0, name, length), "sendto");
  }
}

}  // namespace

TEST_CASE("each_client_gets_its_own_answers_and_a_wrong_or_missing_one_is_found") {
  using namespace std::chrono_literals;
  const descriptor server = open_socket();
  clients all(8, echo_exchange(64), false);
  constexpr std::uint64_t none = ~std::uint64_t{0};
  for (int round = 0; round < 2; ++round) {
    all.ask(port_of(server.get()), 3);
    answer_all(server, none);
    all.collect(1s);
  }
  CHECK(all.seen().datagrams == 48);
  CHECK(all.seen().bad == 0);
  all.ask(port_of(server.get()), 1);
  answer_all(server, 50);  // of the third round, which begins with number 48
  all.collect(1s);
  CHECK(all.seen().datagrams == 56);
  CHECK(all.seen().bad == 1);
  all.ask(port_of(server.get()), 1);
  all.collect(1ms);
  CHECK(all.seen().datagrams == 56);
}
