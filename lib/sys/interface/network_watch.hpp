// network_watch: a netlink socket that is told of each change of a network namespace. It never waits.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "sys/interface/netlink_message.hpp"
#include "sys/interface/network_table.hpp"
#include "sys/socket/file_descriptor.hpp"
#include "uring6/interface_event.hpp"
#include "uring6/result.hpp"

namespace uring6::inline v0 {

struct network_watch_options {
  bool routes = false;
  bool groups = false;             ///< Of the IPv6 groups of all interfaces, too: `listed`, `group_changes`.
  std::size_t receive_buffer = 0;  ///< Octets; 0: the system's.
};

/// An interface has joined a group or left it, by the first or the last of its members.
struct group_change {
  listed_group of;
  bool joined = false;
};

/// What a read found.
enum class watch_progress : std::uint8_t {
  more,     ///< A message, or a step of a listing: read again.
  nothing,  ///< The socket is empty: read again when it is readable.
  pause,    ///< The kernel could not list the network: read again after `network_watch::pause`.
};

/// Reads notifications and listings from one socket (network_table.hpp says how they mix).
///
/// When the kernel has no room for a notification, it drops that one and all further ones until the socket is empty,
/// and reports ENOBUFS once. So a listing begins only when the socket is empty: the kernel drops no notification after
/// that without another ENOBUFS.
class network_watch {
 public:
  /// Opens a socket in the calling thread's network namespace. The first read begins a listing. Errors: EMFILE, ENFILE,
  /// ENOBUFS, ENOMEM; EAFNOSUPPORT, EPERM where a filter of system calls refuses it; `errc::out_of_range` for the
  /// buffer.
  static result<network_watch> open(const network_watch_options& options);

  int fd() const noexcept { return fd_.get(); }
  const network_table& table() const noexcept { return table_; }
  const interface_monitor_stats& stats() const noexcept { return stats_; }

  /// Takes at most one message of the kernel and appends its events. Errors: those of reading a netlink socket.
  /// Throws std::bad_alloc; call `list_anew` then, because the message is lost.
  result<watch_progress> read(std::vector<interface_event>& to);

  /// Lists the network again, as after an overrun.
  void list_anew() noexcept;

  /// How long a caller waits after `watch_progress::pause`: 1 ms, longer after each further failure, up to 20 ms:
  /// notifications wait in the kernel meanwhile.
  std::chrono::milliseconds pause() const noexcept;

  /// Did the interface have the group when the last listing was made? With `network_watch_options::groups`.
  bool listed(const listed_group& which) const noexcept;

  /// What the last read told of groups; nothing before Linux 6.14. With `network_watch_options::groups`.
  std::span<const group_change> group_changes() const noexcept { return group_changes_; }

  /// The number of the socket's network namespace (SO_NETNS_COOKIE), 0 on a kernel before 5.14.
  std::uint64_t network_namespace() const noexcept;

 private:
  enum class step : std::uint8_t { none, links, addresses, groups };

  network_watch(file_descriptor fd, std::uint32_t port, bool groups);

  watch_progress at_empty_socket(std::vector<interface_event>& to);
  result<void> ask(step what) noexcept;
  void take(std::size_t size, std::vector<interface_event>& to);
  void take_part(const nlmsghdr& message, std::vector<interface_event>& to);
  void end_step(std::vector<interface_event>& to);
  void fail_listing() noexcept;

  file_descriptor fd_;
  std::uint32_t port_;  // of the socket: answers to its requests carry it
  bool with_groups_;
  bool must_list_ = true;  // as soon as the socket is empty
  bool is_pause_due_ = false;
  bool told_overrun_ = true;
  bool was_interrupted_ = false;  // the network changed while the kernel listed it
  step step_ = step::none;
  std::uint32_t sequence_ = 0;  // of the last request
  std::uint32_t failures_ = 0;  // listings in a row that did not end
  network_table table_;
  std::vector<listed_group> groups_;  // in ascending order, once the listing has ended
  std::vector<group_change> group_changes_;
  std::vector<std::byte> buffer_;
  interface_monitor_stats stats_;
};

}  // namespace uring6::inline v0
