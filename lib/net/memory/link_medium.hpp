// What the sockets of a memory_link share: it carries their datagrams, loses, delays and repeats some, and counts.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <random>
#include <vector>

#include "net/memory/memory_port.hpp"
#include "runtime/loop/loop_core.hpp"
#include "uring6/memory_link.hpp"

namespace uring6::inline v0::detail {

/// Its sockets own it together with the link.
class link_medium final : timer_node {
 public:
  link_medium(std::shared_ptr<loop_core> loop, const memory_link_options& options);
  link_medium(const link_medium&) = delete;
  link_medium& operator=(const link_medium&) = delete;
  ~link_medium();

  const std::shared_ptr<loop_core>& loop() const noexcept { return loop_; }
  const memory_link_options& options() const noexcept { return options_; }
  const memory_link_stats& stats() const noexcept { return stats_; }
  void set_options(const memory_link_options& options) noexcept;

  /// The port at this address; nullptr if there is none.
  memory_port* port_at(const endpoint& local) const noexcept;
  /// A port that no socket at the address has; 0 if there is none.
  std::uint16_t free_port(const ip_address& local) const noexcept;
  /// Throws std::bad_alloc.
  void add(memory_port& port) { ports_.push_back(&port); }
  void remove(memory_port& port) noexcept;

  /// Sends a datagram. Errors: as memory_socket::write_to; then nothing has been sent.
  std::error_code send(const endpoint& from, const write_slot& message) noexcept;

  /// A port does not need the datagram any more.
  void release(memory_packet& packet) noexcept { unused_.push_back(packet); }

  /// The system's clock when the link was made, plus the time that has passed by the loop's clock since then.
  std::chrono::sys_time<std::chrono::nanoseconds> wall_clock() const noexcept;

 private:
  // The number keeps datagrams that arrive at the same time in their order.
  struct transit {
    clock::time_point arrival;
    std::uint64_t number;
    memory_packet* packet;
  };
  static bool is_later(const transit& one, const transit& other) noexcept {
    return one.arrival != other.arrival ? one.arrival > other.arrival : one.number > other.number;
  }

  std::error_code address(const endpoint& from, const write_slot& message, endpoint& to) const noexcept;
  bool happens(double probability) noexcept;
  clock::duration next_delay() noexcept;
  void make_room();
  memory_packet* copy_of(const write_slot& message) noexcept;
  void carry(memory_packet& packet) noexcept;
  void arrive(memory_packet& packet) noexcept;
  void expired() noexcept override;

  std::shared_ptr<loop_core> loop_;
  memory_link_options options_;
  memory_link_stats stats_;
  std::mt19937_64 random_;
  std::chrono::nanoseconds system_minus_loop_;
  std::vector<memory_port*> ports_;
  std::vector<std::unique_ptr<memory_packet>> packets_;
  intrusive_list<memory_packet> unused_;
  std::vector<transit> under_way_;  // a heap: the first to arrive is in front
  std::uint64_t numbers_ = 0;
};

/// Is each option in its range?
bool in_range(const memory_link_options& options) noexcept;

}  // namespace uring6::inline v0::detail
