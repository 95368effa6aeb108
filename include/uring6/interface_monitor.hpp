// interface_monitor: what happens to the network interfaces, their addresses and routes, as events to await.
#pragma once

#include "uring6/version.hpp"

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "uring6/address.hpp"
#include "uring6/export.hpp"
#include "uring6/interface.hpp"
#include "uring6/interface_event.hpp"
#include "uring6/result.hpp"
#include "uring6/task.hpp"

namespace uring6::inline v0 {

class event_loop;

namespace detail {
class network_source;
}  // namespace detail

struct interface_monitor_options {
  /// Tell of routes, too (not those of the table `local`, and no paths that the kernel has learned).
  bool routes = false;
  /// Octets of messages that wait in the kernel, as of `packet_conn::set_receive_buffer`. A change of one interface
  /// takes about 2,000. With more changes than fit, `overrun` comes. SO_RCVBUFFORCE
  std::size_t receive_buffer = std::size_t{1} << 20;
};

/// The changes of the network namespace in which the monitor was opened. Needs no privilege. rtnetlink(7); Go: missing.
///
///     interface_monitor network(loop);
///     for (;;) {
///       const auto seen = co_await network.next();
///       if (!seen && is_transient(seen.error())) continue;
///       if (!seen) co_return;
///       if (seen->what == interface_change::address_removed) ...
///     }
///
/// The first events tell what is there: `created` (`up`, `running`) for each interface, `address_added`
/// (`address_usable`, `address_deprecated`) for each address, then `synchronized`. From then on each change is one
/// event.
///
/// No change of an interface or of an address is missed. When the kernel had no room for a message, it says so; the
/// monitor tells `overrun`, lists the network anew, tells the differences and ends them by `synchronized`. What came
/// and went in between is not among them. An interface that has another hardware address then counts as removed and
/// created. The monitor does not keep the routes, which may be a million: changes of routes before an `overrun` may be
/// missing.
///
/// Threads: a monitor belongs to its loop's thread. One coroutine at a time waits.
class URING6_EXPORT interface_monitor {
 public:
  /// Throws std::system_error with an error of `open`.
  explicit interface_monitor(event_loop& loop, const interface_monitor_options& options = {});

  /// Opens a monitor of the calling thread's network namespace. It takes one descriptor, and none later. Errors:
  /// EMFILE, ENFILE; EAFNOSUPPORT, EPERM where a filter of system calls refuses netlink; `errc::out_of_range` for
  /// `receive_buffer` from 1 GiB on; `errc::closed` for a moved-from loop.
  static result<interface_monitor> open(event_loop& loop, const interface_monitor_options& options = {});

  interface_monitor(interface_monitor&&) noexcept;
  interface_monitor& operator=(interface_monitor&& other) noexcept {
    std::swap(source_, other.source_);
    return *this;
  }
  ~interface_monitor();

  /// Waits for the next event. A `next` that is stopped has taken none. Errors: `errc::canceled`; `errc::wrong_thread`
  /// outside of the loop; `errc::closed` on a moved-from monitor; `std::errc::operation_in_progress` while another
  /// coroutine waits. `std::errc::not_enough_memory` is transient: the next call lists the network anew, and tells the
  /// differences.
  [[nodiscard("co_await it")]] task<result<interface_event>> next();

  /// The interfaces and the addresses as the messages that the monitor has read describe them, in the order of their
  /// indexes. The events of the last messages may not have been taken yet. No system call. Empty on a moved-from
  /// monitor.
  std::vector<interface> interfaces() const;
  std::vector<interface_address> addresses() const;

  /// All 0 on a moved-from monitor.
  interface_monitor_stats stats() const noexcept;

 private:
  URING6_HIDDEN explicit interface_monitor(std::shared_ptr<detail::network_source> source) noexcept;

  std::shared_ptr<detail::network_source> source_;
};

/// Waits until `address` can be bound: an interface of the calling thread's network namespace has it, and its
/// uniqueness is proved. A service that starts with the machine binds too early otherwise (EADDRNOTAVAIL). For an
/// address that no interface has it waits, too: bound the wait by `with_timeout`. A link-local address without a zone
/// is that of any interface.
///
///     co_await with_timeout(10s, wait_until_usable(loop, address))
///
/// Returns the address with its interface and state. Errors: `std::errc::invalid_argument` for an address that no host
/// can have; `std::errc::address_not_available` if another host has it (RFC 4862, 5.4.5); those of
/// `interface_monitor::open`, which is called at once, and of `interface_monitor::next`.
[[nodiscard("co_await it")]] URING6_EXPORT task<result<interface_address>> wait_until_usable(event_loop& loop,
                                                                                             const ip_address& address);

}  // namespace uring6::inline v0
