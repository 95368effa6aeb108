// network_table: the interfaces and addresses of a network namespace as netlink messages describe them, and the events
// by which each message changes them. No system call.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string_view>
#include <tuple>
#include <vector>

#include "sys/interface/netlink.hpp"
#include "uring6/interface.hpp"
#include "uring6/interface_event.hpp"

namespace uring6::inline v0 {

/// The name in place; longer ones, which the kernel does not have, are cut.
interface_name name_in_place(std::string_view name) noexcept;

/// Can the address be bound? The kernel refuses a tentative one, unless it is optimistic (RFC 4429), and a duplicate.
bool is_usable(address_flags flags) noexcept;

/// A listing ("dump") and notifications arrive mixed on one socket. The kernel makes each part of a listing while the
/// network changes, so a listed item can be older than a notification that arrived before it, but a change after the
/// item was made always has a notification of its own. So a listing never overrides what a notification told since the
/// listing began.
///
/// Each function that takes `events` appends to it. They throw std::bad_alloc; the table and the events agree then, and
/// a further listing tells what is missing.
class network_table {
 public:
  using events = std::vector<interface_event>;
  struct link {
    interface state;
    std::uint32_t seen = 0;  // the listing during or after which the kernel has told of it last
  };
  struct address {
    interface_address state;
    std::uint32_t seen = 0;
  };
  using address_key = std::tuple<std::uint32_t, ip_address, std::uint8_t>;  // interface, address, prefix length

  /// Takes a notification: RTM_NEWLINK, RTM_DELLINK, RTM_NEWADDR, RTM_DELADDR, RTM_NEWROUTE, RTM_DELROUTE. Ignores
  /// other messages.
  void notify(const nlmsghdr& message, events& to);

  /// A listing: its begin, its items, and for each of its two halves that is complete its end, which removes what was
  /// not listed. A listing that is begun before the last one has ended replaces it.
  void begin_listing() noexcept;
  void list(const nlmsghdr& message, events& to);
  void end_links(events& to);
  void end_addresses(events& to);

  [[nodiscard]] const std::map<std::uint32_t, link>& links() const noexcept { return links_; }
  [[nodiscard]] const std::map<address_key, address>& addresses() const noexcept { return addresses_; }

 private:
  using link_at = std::map<std::uint32_t, link>::iterator;
  using address_at = std::map<address_key, address>::iterator;

  void put(interface&& now, bool listed, events& to);
  void put(const interface_address& now, bool listed, events& to);
  void add(interface&& now, events& to);
  void change(link& known, interface&& now, events& to);
  void change(address& known, const interface_address& now, events& to);
  link_at remove(link_at which, events& to);
  address_at remove(address_at which, events& to);
  void remove_addresses(std::uint32_t index, events& to);

  [[nodiscard]] interface_event event(interface_change what, const interface& of) const noexcept;
  [[nodiscard]] interface_event event(interface_change what, const interface_address& of) const noexcept;

  std::map<std::uint32_t, link> links_;
  std::map<address_key, address> addresses_;
  std::uint32_t listing_ = 0;  // the number of the current or last listing
  // Removed by notifications since it began: an older item must not bring them back.
  std::set<std::uint32_t> removed_links_;
  std::set<address_key> removed_addresses_;
  bool is_listing_links_ = false;
  bool is_listing_addresses_ = false;
};

}  // namespace uring6::inline v0
