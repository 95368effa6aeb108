// Clients of one server, each with a socket of its own.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <random>
#include <vector>

#include "common/payload.hpp"
#include "common/socket.hpp"
#include "harness/peers/answer_deadline.hpp"
#include "harness/peers/exchange.hpp"

namespace bench {

/// Sends single datagrams from all clients in turn, and checks that each client gets the answers to its own questions,
/// all of them and in order.
class clients {
 public:
  /// `takes_trains`: the sockets receive trains whole (UDP_GRO).
  clients(std::size_t count, std::shared_ptr<const exchange> what, bool takes_trains);

  /// Each client sends `each` questions to `port`: every client its first one, in random order, then its second one.
  /// Throws if the kernel does not accept all of them.
  void ask(std::uint16_t port, std::uint64_t each);

  /// Reads answers until each question of `ask` has one. Returns early if none has come for `most`: then `seen` is
  /// short of answers, and an answer that comes later counts as bad.
  void collect(std::chrono::milliseconds most, idle meanwhile = idle::spin);

  std::size_t size() const noexcept { return all_.size(); }
  const tally& seen() const noexcept { return seen_; }

 private:
  struct client {
    descriptor fd;
    std::uint64_t turn = 0;      // its place in the order of the current round
    std::uint64_t expected = 0;  // the answer that comes next: its place in the client's sequence
    std::uint64_t wanted = 0;    // answers that are still to come
  };

  void take(client& each, std::size_t size, std::size_t segment);

  std::shared_ptr<const exchange> what_;
  std::vector<client> all_;
  std::vector<std::uint32_t> order_;
  std::uint64_t first_ = 0;  // the sequence number with which the current round begins
  std::uint64_t next_ = 0;
  std::vector<std::byte> question_ = std::vector<std::byte>(largest_payload);
  std::vector<std::byte> room_ = std::vector<std::byte>(65'535);
  std::mt19937 random_{11};
  tally seen_;
};

}  // namespace bench
