// Coroutines that receive from subscriptions of a datagram_hub, and keep what they saw.
#pragma once

#include <catch2/catch_test_macros.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <system_error>
#include <vector>

#include "support/case/coroutines.hpp"
#include "support/traffic/conns.hpp"
#include "support/traffic/plain_sender.hpp"
#include "uring6/datagram_hub.hpp"
#include "uring6/error.hpp"

namespace uring6::test {

/// What one subscription has told its coroutine.
struct seen_datagrams {
  std::vector<std::uint64_t> numbers;      // of the datagrams, in their order
  std::vector<const std::byte*> places;    // where their payloads lie
  std::vector<std::error_code> errors;     // transient ones
  std::vector<std::size_t> errors_behind;  // how many datagrams came before each
  std::uint64_t missed = 0;
  std::error_code end;
};

/// Receives until an error that is not transient.
inline task<> receive_all(subscription& from, seen_datagrams& into) {
  for (;;) {
    const auto batch = co_await from.receive();
    if (!batch && is_transient(batch.error())) {
      into.errors.push_back(batch.error());
      into.errors_behind.push_back(into.numbers.size());
      continue;
    }
    if (!batch) {
      into.end = batch.error();
      co_return;
    }
    into.missed += batch->missed();
    for (const auto each : *batch) {
      into.numbers.push_back(number_in(each.payload()));
      into.places.push_back(each.payload().data());
    }
  }
}

/// A subscription and a coroutine that receives all of it.
class subscriber {
 public:
  subscriber(event_loop& loop, datagram_hub& hub, const subscription_options& options = {})
      : from_(or_throw(hub.subscribe(options))), body_(loop, receive_all(from_, seen_)) {}

  subscription& from() noexcept { return from_; }
  const seen_datagrams& seen() const noexcept { return seen_; }
  bool ended() const noexcept { return body_.ended(); }
  beside& body() noexcept { return body_; }

 private:
  subscription from_;
  seen_datagrams seen_;
  beside body_;
};

using subscribers = std::vector<std::unique_ptr<subscriber>>;

inline subscribers many_subscribers(event_loop& loop, datagram_hub& hub, std::size_t count,
                                    const subscription_options& options = {}) {
  subscribers all;
  for (std::size_t i = 0; i < count; ++i) all.push_back(std::make_unique<subscriber>(loop, hub, options));
  return all;
}

/// The reader of a hub, and how it ended.
class hub_reader {
 public:
  hub_reader(event_loop& loop, datagram_hub& hub) : body_(loop, read(hub, end_)) {}

  beside& body() noexcept { return body_; }
  /// Empty while it runs.
  const std::optional<result<void>>& end() const noexcept { return end_; }

 private:
  static task<> read(datagram_hub& hub, std::optional<result<void>>& end) {
    const auto how = co_await hub.run();
    end.emplace(how);
  }

  std::optional<result<void>> end_;
  beside body_;
};

/// A hub of a conn on ::1, and a socket that sends to the conn.
struct fed_hub {
  explicit fed_hub(event_loop& loop, const packet_options& options = {})
      : conn(open_conn(loop, options)), sender(name_of(conn)), hub(loop, conn) {}

  packet_conn conn;
  plain_sender sender;
  datagram_hub hub;
};

/// The same with its reader, which runs.
struct read_hub : fed_hub {
  explicit read_hub(event_loop& loop, const packet_options& options = {}) : fed_hub(loop, options), reader(loop, hub) {}

  hub_reader reader;
};

/// A hub of a conn that was dialed, so that a read meets an error when the peer is away, with its reader, which runs.
struct dialed_hub {
  explicit dialed_hub(event_loop& loop)
      : in(loop),
        peer(open_conn(loop)),
        there(name_of(*peer)),
        conn(dial(loop, there)),
        hub(loop, conn),
        reader(loop, hub) {}

  /// The peer leaves, and the kernel refuses what is written to it.
  task<> meet_error() {
    REQUIRE(peer->close());
    const auto sent = co_await conn.write(as_payload("refused"));
    REQUIRE(sent);
  }
  void bring_peer_back() { peer.emplace(or_throw(listen_packet(in, "udp6", there.to_string()))); }
  task<> send(std::uint64_t number) {
    const endpoint here = name_of(conn);
    const auto sent = co_await peer->write_to(numbered(number), here);
    REQUIRE(sent);
  }

  event_loop& in;
  std::optional<packet_conn> peer;
  endpoint there;
  packet_conn conn;
  datagram_hub hub;
  hub_reader reader;
};

inline std::vector<std::uint64_t> numbers_until(std::uint64_t end, std::uint64_t begin = 0) {
  std::vector<std::uint64_t> all;
  for (; begin < end; ++begin) all.push_back(begin);
  return all;
}

/// Receive buffers of the pool for any datagram that are in use.
inline std::uint64_t buffers_in_use(const event_loop& loop) noexcept {
  return loop.pools()[1].in_use;
}

}  // namespace uring6::test
