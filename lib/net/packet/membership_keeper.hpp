// membership_keeper: the inside of a group_keeper.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <system_error>
#include <vector>

#include "runtime/loop/loop_core.hpp"
#include "sys/interface/network_watch.hpp"
#include "uring6/group_keeper.hpp"
#include "uring6/packet_conn.hpp"
#include "uring6/source_filter.hpp"

namespace uring6::inline v0::detail {

/// The interface that a membership is wanted on: by name if it has one, else by index.
struct wanted_interface {
  interface_name name{};
  std::uint32_t index = 0;

  friend bool operator==(const wanted_interface&, const wanted_interface&) noexcept = default;
};

/// Why a membership is joined (again): what counts when the kernel takes the join.
enum class join_reason : std::uint8_t { first, recreated, renamed, mtu_restored, rejoined };

/// Follows the network, and tells the kernel of each difference between what is wanted and what is joined.
///
/// An interface that goes, or whose MTU falls below what the protocol needs, has forgotten its groups, but the socket's
/// list keeps them; so the keeper takes the group off the list at that event. A join then never meets an old entry.
/// Only an overrun hides such an event: memberships of before it are compared with the groups that a listing has.
///
/// The kernel counts the members of a group on an interface by its index. So a socket that leaves a group of an
/// interface that was replaced takes the place of a socket that has joined it on the new one. The kernel tells that the
/// interface has left the group (from Linux 6.14 on), and the keeper joins again.
class membership_keeper {
 public:
  membership_keeper(std::shared_ptr<loop_core> loop, packet_conn& pc, network_watch watch);

  /// Reads the network until the watch has told all of it. EAGAIN after many attempts; those of `network_watch::read`.
  result<void> synchronize();

  result<void> keep(const wanted_interface& on, const ip_address& group, const source_filter& sources);
  result<void> leave(const wanted_interface& on, const ip_address& group);

  std::vector<kept_membership> memberships() const;
  group_keeper_stats stats() const noexcept;

  /// Reads and follows one message. not_enough_memory: the watch will list the network again.
  result<watch_progress> follow_one() noexcept;

  /// Tries the refused joins again that are due, and joins again what interfaces have left. Call it when all messages
  /// were followed.
  void try_again() noexcept;
  /// The time until the next one is due; nullopt if there is none.
  std::optional<std::chrono::steady_clock::duration> until_next_try() const noexcept;

  loop_core& loop() const noexcept { return *loop_; }
  const network_watch& watch() const noexcept { return watch_; }
  bool is_open() const noexcept { return conn_.is_open(); }
  bool is_running = false;  // a coroutine is in `run`

 private:
  struct kept {
    wanted_interface wanted;
    ip_address group;
    source_filter sources;
    std::uint32_t index = 0;  // of the interface that it is on; 0: there is none
    std::uint32_t mtu = 0;    // its MTU, octets
    bool joined = false;
    bool was_joined = false;    // ever
    bool is_forgotten = false;  // the interface has left the group, as far as the messages were followed
    bool is_doubtful = false;   // the kernel may have forgotten it during an overrun
    join_reason reason = join_reason::first;
    std::error_code refusal{};
    std::chrono::milliseconds delay{0};             // until the next try, after a refusal
    std::chrono::steady_clock::time_point again{};  // when it is due
  };

  static bool has_protocol(const kept& of) noexcept;
  static bool waits_for_try(const kept& of) noexcept { return !of.joined && of.index != 0 && has_protocol(of); }

  void follow(kept& of, const interface_event& event) noexcept;
  void place(kept& of, std::uint32_t index, std::uint32_t mtu, join_reason why) noexcept;
  void lose(kept& of) noexcept;
  bool give_up(kept& of) noexcept;
  void resize(kept& of, std::uint32_t mtu) noexcept;
  void verify(kept& of) noexcept;
  void follow(const group_change& change) noexcept;
  void join_anew(kept& of) noexcept;
  result<void> join(kept& of) noexcept;
  result<void> ask_to_join(const kept& of) noexcept;
  void find_interface(kept& of) const noexcept;
  std::vector<kept>::iterator find(const wanted_interface& on, const ip_address& group) noexcept;

  std::shared_ptr<loop_core> loop_;
  packet_conn& conn_;
  network_watch watch_;
  std::vector<interface_event> events_;
  std::vector<kept> kept_;
  group_keeper_stats stats_;
};

}  // namespace uring6::inline v0::detail
