// group_keeper: multicast memberships that stay true while the network changes.
#pragma once

#include "uring6/version.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "uring6/address.hpp"
#include "uring6/detail/hash.hpp"
#include "uring6/export.hpp"
#include "uring6/interface_event.hpp"
#include "uring6/result.hpp"
#include "uring6/source_filter.hpp"
#include "uring6/stats.hpp"
#include "uring6/task.hpp"

namespace uring6::inline v0 {

class event_loop;
class packet_conn;

namespace detail {
class membership_keeper;
}  // namespace detail

/// A membership that a `group_keeper` keeps, and what became of it.
struct kept_membership {
  interface_name name{};              ///< The wanted interface's name; empty if it is wanted by index.
  std::uint32_t interface_index = 0;  ///< The interface that it is on, or wanted on; 0: none has the name.
  ip_address group{};
  bool joined = false;
  std::error_code error{};  ///< Why the kernel refused the last join, if it is not joined.

  friend bool operator==(const kept_membership&, const kept_membership&) noexcept = default;
};

/// Counters of a `group_keeper`. `joins` is the sum of `first`, `recreated`, `renamed`, `mtu_restored` and `rejoined`.
struct group_keeper_stats {
  std::uint64_t joins = 0;         ///< Joins that the kernel took.
  std::uint64_t first = 0;         ///< Of these: the first one of a membership.
  std::uint64_t recreated = 0;     ///< The interface was deleted or in another namespace, and came back.
  std::uint64_t renamed = 0;       ///< The wanted name came to another interface, or back to the same one.
  std::uint64_t mtu_restored = 0;  ///< The MTU fell below what the protocol needs, and rose again.
  std::uint64_t rejoined = 0;      ///< The interface has left the group for another reason, or during an overrun.
  std::uint64_t refused = 0;       ///< Joins that the kernel refused; the keeper tries again.
  std::uint64_t left = 0;          ///< Memberships given up: the interface went, or the name went to another one.
  std::uint64_t overruns = 0;      ///< Times that the kernel had no room for a netlink message (ENOBUFS).
};

template <>
inline constexpr auto counters_of<group_keeper_stats> = std::to_array<named_counter<group_keeper_stats>>({
    {"joins", &group_keeper_stats::joins},
    {"first", &group_keeper_stats::first},
    {"recreated", &group_keeper_stats::recreated},
    {"renamed", &group_keeper_stats::renamed},
    {"mtu_restored", &group_keeper_stats::mtu_restored},
    {"rejoined", &group_keeper_stats::rejoined},
    {"refused", &group_keeper_stats::refused},
    {"left", &group_keeper_stats::left},
    {"overruns", &group_keeper_stats::overruns},
});

static_assert(has_counters<group_keeper_stats>);

/// Keeps the memberships of a conn true. The kernel forgets a membership when its interface is deleted, moved to
/// another network namespace, or gets an MTU below 1,280 octets (of an IPv4 group: 68); the conn then receives nothing,
/// without an error, also when the interface is back. A `group_keeper` joins again as soon as the kernel tells that the
/// interface is back, with the same sources. A link that goes down and up costs nothing: the kernel keeps its groups.
///
///     group_keeper keeper(loop, pc);
///     or_throw(keeper.keep("eth0", group));
///     scope all;
///     all.spawn(keeper.run(), [](result<void> end) { ... });
///
/// Wanted by name, a membership follows the name: if another interface gets it, the conn leaves the group on the former
/// one and joins it on that one. Wanted by index, it stays with the index under each name. Alternative names
/// (`ip link property add altname`) do not count. An interface need not exist yet.
///
/// The conn must outlive the keeper and must not be moved. Leave a kept group by `leave`, not by the conn. The
/// destructor leaves no group; closing the conn does. Threads: a keeper belongs to its loop's thread.
class URING6_EXPORT group_keeper {
 public:
  /// Throws std::system_error with an error of `open`.
  group_keeper(event_loop& loop, packet_conn& pc);

  /// Reads which interfaces there are, as `interface::all` does. Errors: `errc::closed`; EINVAL if the calling thread
  /// is in another network namespace than the conn; EAGAIN if the network changes so fast that it cannot be listed;
  /// those of `interface_monitor::open`.
  static result<group_keeper> open(event_loop& loop, packet_conn& pc);

  group_keeper(group_keeper&&) noexcept;
  group_keeper& operator=(group_keeper&&) noexcept;
  ~group_keeper();

  /// Joins `group` on the interface with that name, with these sources, and keeps it joined while `run` runs. If the
  /// interface is there, it is joined when the call returns; otherwise it is joined when it comes. A group that the
  /// conn has joined there itself is taken over, with these sources.
  ///
  /// Errors, after which nothing is kept: `errc::not_multicast`; `errc::already_joined` if the keeper keeps it already;
  /// `errc::unknown_zone` for a name that no interface can have (empty, more than 15 octets) and for index 0;
  /// `errc::zone_mismatch` for a group with the zone of another interface; `errc::bound_to_group`,
  /// `errc::ipv4_address`; EINVAL for sources that let nothing through; if the interface is there, those of
  /// `packet_conn::set_source_filter`; EAGAIN as `open`; `errc::wrong_thread`.
  result<void> keep(std::string_view interface_name, const ip_address& group, const source_filter& sources = {});
  result<void> keep(std::uint32_t interface_index, const ip_address& group, const source_filter& sources = {});

  /// Leaves a group and keeps it no more. `errc::not_joined` if the keeper does not keep it.
  result<void> leave(std::string_view interface_name, const ip_address& group);
  result<void> leave(std::uint32_t interface_index, const ip_address& group);

  /// Follows the network until it is stopped. A join that the kernel refuses (no memory, no IPv6 on the interface) is
  /// tried again with each event about its interface, and after 10 ms, doubled each time up to a second. Errors:
  /// `errc::canceled`; `errc::closed` at the first event after the conn was closed; `errc::wrong_thread`;
  /// `std::errc::operation_in_progress` while another call runs; those of reading a netlink socket.
  [[nodiscard("co_await it")]] task<result<void>> run();

  /// In the order of the calls of `keep`. Empty on a moved-from keeper.
  std::vector<kept_membership> memberships() const;

  /// All 0 on a moved-from keeper.
  group_keeper_stats stats() const noexcept;

 private:
  URING6_HIDDEN explicit group_keeper(std::shared_ptr<detail::membership_keeper> inside) noexcept;

  std::shared_ptr<detail::membership_keeper> inside_;
};

/// "ff02::114 on eth0 ifindex=2 joined"; "ff02::114 on eth0 absent"; "ff02::114 ifindex=2 refused: Cannot allocate
/// memory".
URING6_EXPORT std::string to_string(const kept_membership& of);

}  // namespace uring6::inline v0

template <>
struct std::hash<uring6::kept_membership> {
  std::size_t operator()(const uring6::kept_membership& of) const noexcept {
    return uring6::detail::hash_of(of.name, of.interface_index, of.group, of.joined, of.error);
  }
};
