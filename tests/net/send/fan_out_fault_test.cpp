// Datagrams to many destinations in turn, where a route refuses trains, a socket is full, a write is stopped, or a
// peer's host answers with errors: no other peer loses a datagram, and each peer gets its datagrams in order.

#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <cstring>
#include <deque>
#include <memory>
#include <random>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

#include "net/kernel/segment_limit.hpp"
#include "support/case/allocations.hpp"
#include "support/case/coroutines.hpp"
#include "support/machine/link_control.hpp"
#include "support/machine/receive_room.hpp"
#include "support/machine/veth_pair.hpp"
#include "support/traffic/bytes.hpp"
#include "support/traffic/conns.hpp"
#include "support/traffic/crowd.hpp"
#include "support/traffic/error_reports.hpp"
#include "support/traffic/read_all.hpp"
#include "uring6/scope.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

struct link_of_peers {
  explicit link_of_peers(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      peers.push_back(cable.far.space.run([&] { return or_throw(listen_packet(loop, "udp6", "[::]:0")); }));
      names.push_back({cable.far.address, name_of(peers.back()).port});
    }
  }
  packet_conn open(const packet_options& options = {}) {
    return cable.near.space.run([&] { return or_throw(listen_packet(loop, "udp6", "[::]:0", options)); });
  }

  veth_pair cable;
  event_loop loop;
  std::vector<packet_conn> peers;
  std::vector<endpoint> names;
};

TEST_CASE("fan-out: a path that refuses trains keeps the order of each of its peers, and no other peer's train back") {
  constexpr std::size_t max_peers = 8;
  constexpr std::size_t length_of_run = 10;  // packets; those for one far and one near peer leave by the ring
  constexpr std::size_t runs = 3;            // of packets of one length: so many trains for each peer in a batch
  link_of_peers far(max_peers);
  run(far.loop, [&]() -> task<> {
    for (const auto& [ahead, far_peers] :
         {std::pair{false, max_peers}, {true, max_peers}, {false, std::size_t{1}}, {true, std::size_t{1}}}) {
      CAPTURE(ahead, far_peers);
      auto from = far.open({.coalesce_writes = ahead});
      std::vector<packet_conn> near;  // on the sender's own host, where trains pass
      for (std::size_t i = 0; i < far_peers; ++i) {
        near.push_back(far.cable.near.space.run([&] { return or_throw(listen_packet(far.loop, "udp6", "[::]:0")); }));
      }
      far.cable.near.space.run([&] { set_mtu(far.cable.near.link.index, 1400); });
      std::deque<bytes> payloads;
      std::vector<write_slot> batch;
      for (std::uint64_t number = 0; number < length_of_run * runs; ++number) {
        bytes& payload = payloads.emplace_back(counting(number / length_of_run % 2 == 0 ? 1440 : 100));
        std::memcpy(payload.data(), &number, sizeof number);
        for (std::size_t i = 0; i < far_peers; ++i) {
          batch.push_back({payload, {}, far.names[i], {}});
          batch.push_back({payload, {}, {far.cable.near.address, name_of(near[i]).port}, {}});
        }
      }
      const auto sent = co_await from.write_batch(batch);
      CHECK(sent == batch.size());
      const auto flushed = co_await from.flush();
      CHECK(flushed);
      CHECK(from.stats().refused_trains > 0);
      CHECK(from.stats().sent_trains >= runs * far_peers);
      CHECK(from.stats().sent_datagrams == batch.size());
      CHECK(from.stats().failed_datagrams == 0);
      bytes buffer(2000);
      for (auto* peers : {&near, &far.peers}) {
        for (packet_conn& each : std::span(*peers).first(far_peers)) {
          for (std::uint64_t number = 0; number < length_of_run * runs; ++number) {
            const auto got = co_await each.read_from(buffer);
            REQUIRE(got);
            REQUIRE(number_in(got->payload) == number);
          }
        }
      }
    }
  });
}

/// Datagrams stay in the link's queue and count against the small send buffer.
struct full_socket : link_of_peers {
  full_socket() : link_of_peers(trains_of_a_conn) {
    cable.near.space.run([&] { limit_rate(cable.near.link.index, 1); });
  }
  packet_conn open(bool ahead = false) {
    return link_of_peers::open({.send_buffer = 16 * 1024, .coalesce_writes = ahead});
  }
  std::vector<write_slot> in_turn() const {
    std::vector<write_slot> batch;
    for (std::size_t i = 0; i < packets_for_each; ++i) {
      for (const endpoint& peer : names) batch.push_back({payload, {}, peer, {}});
    }
    return batch;
  }
  void let_go() {
    cable.near.space.run([&] { drop_queue(cable.near.link.index); });
  }

  bytes payload = counting(200);
};

TEST_CASE("fan-out: the socket is full in the middle of 64 trains: the rest waits for room") {
  full_socket link;
  run(link.loop, [&]() -> task<> {
    auto from = link.open();
    auto batch = link.in_turn();
    beside writer(link.loop, [&]() -> task<> {
      const auto sent = co_await from.write_batch(batch);
      CHECK(sent == batch.size());
    });
    co_await until([&] { return from.stats().parked_sends > 0; });
    CHECK(from.stats().sent_datagrams > 0);
    CHECK(from.stats().sent_datagrams < batch.size());
    link.let_go();
    co_await writer.join();
    CHECK(from.stats().sent_datagrams == batch.size());
    CHECK(from.stats().failed_datagrams == 0);
  });
}

TEST_CASE("fan-out: without waiting, a full socket gives each message its own result") {
  full_socket link;
  run(link.loop, [&]() -> task<> {
    auto from = link.open();
    auto batch = link.in_turn();
    const auto sent = co_await from.write_batch(batch, write_flags::dont_wait);
    REQUIRE(sent);
    std::size_t without_room = 0;
    for (const write_slot& each : batch) {
      if (!each.error) continue;
      CHECK(each.error == std::errc::resource_unavailable_try_again);
      ++without_room;
    }
    CHECK(without_room > 0);
    CHECK(*sent == batch.size() - without_room);
    CHECK(from.stats().sent_datagrams == *sent);
    CHECK(from.stats().failed_datagrams == without_room);
  });
}

TEST_CASE("fan-out: a stop, a close and the end of the frame give each message of 64 trains its result") {
  enum class ending { stop, close, destroy };
  for (const ending how : {ending::stop, ending::close, ending::destroy}) {
    CAPTURE(static_cast<int>(how));
    full_socket link;
    run(link.loop, [&]() -> task<> {
      auto from = link.open();
      auto batch = link.in_turn();
      auto writer = std::make_unique<beside>(link.loop, [&]() -> task<> {
        const auto sent = co_await from.write_batch(batch);
        REQUIRE(sent);
        CHECK(*sent == static_cast<std::size_t>(std::ranges::count(batch, std::error_code(), &write_slot::error)));
      });
      co_await until([&] { return from.stats().parked_sends > 0; });
      if (how == ending::stop) writer->request_stop();
      if (how == ending::close) CHECK(from.close());
      if (how == ending::destroy) {
        writer.reset();
      } else {
        co_await writer->join();
        const auto why = how == ending::stop ? errc::canceled : errc::closed;
        for (const write_slot& each : batch) CHECK((!each.error || each.error == why));
        CHECK(std::ranges::any_of(batch, [&](const write_slot& each) { return each.error == why; }));
      }
      CHECK(from.stats().sent_datagrams + from.stats().failed_datagrams == batch.size());
    });
  }
}

TEST_CASE("fan-out: a close with 64 trains that were written ahead to a full socket counts what is lost") {
  full_socket link;
  run(link.loop, [&]() -> task<> {
    auto from = link.open(true);
    const auto batch = link.in_turn();
    for (const write_slot& each : batch) {
      const auto sent = co_await from.write_to(each.payload, each.destination);
      REQUIRE(sent);
    }
    CHECK(from.close());
    CHECK(from.stats().failed_after_write > 0);
    CHECK(from.stats().sent_datagrams + from.stats().failed_after_write == batch.size());
  });
}

TEST_CASE("fan-out: peers whose host answers with ICMP errors cost the other peers no datagram") {
  crowd all(16);
  run(all.loop, [&]() -> task<> {
    for (const bool ahead : {false, true}) {
      CAPTURE(ahead);
      auto from = open_conn(all.loop, {.coalesce_writes = ahead});
      REQUIRE(from.set_error_reports(true));
      std::vector<endpoint> gone;
      for (int i = 0; i < 8; ++i) gone.push_back(nobody(all.loop));
      for (int round = 0; round < 5; ++round) {
        std::vector<write_slot> batch;
        for (const numbered& number : all.numbers) {
          for (std::size_t i = 0; i < all.names.size(); ++i) {
            batch.push_back({number, {}, all.names[i], {}});
            if (i % 2 == 0) batch.push_back({number, {}, gone[i / 2], {}});
          }
        }
        const auto sent = co_await from.write_batch(batch);
        CHECK(sent == batch.size());
        const auto flushed = co_await from.flush();
        CHECK(flushed);
        for (packet_conn& each : all.peers) co_await expect_packets(each);
      }
      std::array<std::byte, 64> buffer;
      const auto refused = co_await from.read_from(buffer);
      CHECK(refused.error() == std::errc::connection_refused);
    }
  });
}

TEST_CASE("fan-out: a path's MTU that shrinks and grows again loses no datagram") {
  constexpr std::size_t count = 8;
  link_of_peers far(count);
  run(far.loop, [&]() -> task<> {
    auto from = far.open();
    std::uint64_t number = 0;
    bytes buffer(2000);
    for (const std::uint32_t mtu : {1500U, 1300U, 1500U, 1280U, 1500U}) {
      far.cable.near.space.run([&] { set_mtu(far.cable.near.link.index, mtu); });
      std::deque<bytes> payloads;
      std::vector<write_slot> batch;
      const std::uint64_t first = number;
      for (; number < first + packets_for_each; ++number) {
        bytes& payload = payloads.emplace_back(counting(1380));
        std::memcpy(payload.data(), &number, sizeof number);
        for (const endpoint& each : far.names) batch.push_back({payload, {}, each, {}});
      }
      const auto sent = co_await from.write_batch(batch);
      CHECK(sent == batch.size());
      for (packet_conn& each : far.peers) {
        for (std::uint64_t expected = first; expected < number; ++expected) {
          const auto got = co_await each.read_from(buffer);
          REQUIRE(got);
          REQUIRE(number_in(got->payload) == expected);
        }
      }
    }
  });
}

}  // namespace
