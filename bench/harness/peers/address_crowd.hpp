// Peers of a server for the growth table: each has an address of its own, and all of them share one socket.
#pragma once

#include <chrono>
#include <cstdint>
#include <random>
#include <vector>

#include "common/socket.hpp"
#include "harness/measure/window.hpp"
#include "harness/peers/answer_deadline.hpp"

namespace bench {

class address_crowd {
 public:
  /// `peers` addresses of common/addresses.hpp, and payloads of `size` octets (0 to 65,527).
  address_crowd(std::uint32_t peers, std::size_t size);

  /// Sends `count` datagrams to `port`: of each peer one, in random order, then of each another one; the next call goes
  /// on where this one ended. Throws if the kernel does not accept all of them.
  void ask(std::uint16_t port, std::uint64_t count);

  /// Reads the answers to the last `ask`. Each must come to its peer's address, in the peer's order, as it was sent.
  /// Returns early if none has come for `most`.
  loss_account collect(std::chrono::milliseconds most, idle meanwhile);

 private:
  struct question {
    std::uint32_t peer;
    std::uint32_t next;  // this peer's next one in the same round; 0: none
  };

  bool take();
  bool is_expected(std::uint32_t peer, std::size_t size);
  void number_question(std::uint64_t number) noexcept;

  std::size_t size_;
  descriptor socket_;
  std::vector<std::uint32_t> order_;
  std::size_t next_in_order_ = 0;
  std::mt19937 random_{11};
  std::vector<std::byte> question_;
  std::vector<std::byte> room_ = std::vector<std::byte>(65'536);
  std::vector<question> asked_;          // the current round; the first element is none
  std::vector<std::uint32_t> expected_;  // for each peer the question that is answered next; 0: none
  std::vector<std::uint32_t> last_of_;   // for each peer its last question
  std::uint64_t first_ = 0;              // the number of the round's first question
  loss_account account_;
};

}  // namespace bench
