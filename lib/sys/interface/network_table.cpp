#include "sys/interface/network_table.hpp"

#include <linux/rtnetlink.h>
#include <cassert>

#include <algorithm>

#include "sys/interface/netlink_message.hpp"

namespace uring6::inline v0 {
namespace {

// Events that one message makes at most, without those of the addresses of an interface that goes: an interface that
// was replaced while the monitor did not see it is removed, created, up and running.
constexpr std::size_t events_of_one_message = 6;

// Makes room, so that the pushes that follow cannot fail half way.
void make_room_for_events(network_table::events& to, std::size_t more = events_of_one_message) {
  if (to.capacity() - to.size() < more) to.reserve(std::max(2 * to.capacity(), to.size() + more));
}

network_table::address_key key_of(const interface_address& of) noexcept {
  return {of.interface_index, of.address, of.prefix_length};
}

}  // namespace

interface_name name_in_place(std::string_view name) noexcept {
  interface_name placed;
  name.copy(placed.text.data(), placed.text.size() - 1);
  return placed;
}

bool is_usable(address_flags flags) noexcept {
  if (has_any(flags, address_flags::duplicate)) return false;
  return !has_any(flags, address_flags::tentative) || has_any(flags, address_flags::optimistic);
}

interface_event network_table::event(interface_change what, const interface& of) const noexcept {
  return {.what = what, .interface_index = of.index, .name = name_in_place(of.name), .flags = of.flags, .mtu = of.mtu};
}

interface_event network_table::event(interface_change what, const interface_address& of) const noexcept {
  const auto on = links_.find(of.interface_index);
  interface_event told = on == links_.end() ? interface_event{} : event(what, on->second.state);
  told.what = what;
  told.interface_index = of.interface_index;
  told.address = of.address;
  told.prefix_length = of.prefix_length;
  told.address_state = of.flags;
  return told;
}

void network_table::notify(const nlmsghdr& message, events& to) {
  switch (message.nlmsg_type) {
    case RTM_NEWLINK:
      if (auto now = parse_interface(message)) put(*std::move(now), false, to);
      break;
    case RTM_DELLINK:
      if (const auto gone = parse_interface(message)) {
        if (is_listing_links_) removed_links_.insert(gone->index);
        if (const auto at = links_.find(gone->index); at != links_.end()) remove(at, to);
      }
      break;
    case RTM_NEWADDR:
      if (const auto now = parse_interface_address(message)) put(*now, false, to);
      break;
    case RTM_DELADDR:
      if (const auto gone = parse_interface_address(message)) {
        if (is_listing_addresses_) removed_addresses_.insert(key_of(*gone));
        if (const auto at = addresses_.find(key_of(*gone)); at != addresses_.end()) remove(at, to);
      }
      break;
    case RTM_NEWROUTE:
    case RTM_DELROUTE:
      if (auto route = parse_route(message)) {
        make_room_for_events(to);
        if (const auto on = links_.find(route->interface_index); on != links_.end()) {
          route->name = name_in_place(on->second.state.name);
        }
        to.push_back(*route);
      }
      break;
    default:
      break;
  }
}

void network_table::begin_listing() noexcept {
  ++listing_;
  is_listing_links_ = is_listing_addresses_ = true;
  removed_links_.clear();
  removed_addresses_.clear();
}

void network_table::list(const nlmsghdr& message, events& to) {
  if (message.nlmsg_type == RTM_NEWLINK) {
    if (auto now = parse_interface(message)) put(*std::move(now), true, to);
  } else if (message.nlmsg_type == RTM_NEWADDR) {
    if (const auto now = parse_interface_address(message)) put(*now, true, to);
  }
}

void network_table::end_links(events& to) {
  for (auto each = links_.begin(); each != links_.end();) {
    each = each->second.seen == listing_ ? std::next(each) : remove(each, to);
  }
  is_listing_links_ = false;
  removed_links_.clear();
}

void network_table::end_addresses(events& to) {
  for (auto each = addresses_.begin(); each != addresses_.end();) {
    each = each->second.seen == listing_ ? std::next(each) : remove(each, to);
  }
  is_listing_addresses_ = false;
  removed_addresses_.clear();
}

void network_table::put(interface&& now, bool listed, events& to) {
  if (now.name.empty()) return;  // a driver's own event, which says nothing about the interface
  const auto known = links_.find(now.index);
  if (known == links_.end()) {
    if (!listed || !removed_links_.contains(now.index)) add(std::move(now), to);
    return;
  }
  link& it = known->second;
  if (listed && it.seen == listing_) return;
  if (listed && it.state.hardware_address != now.hardware_address) {
    // Not the one that was there before the messages that were lost.
    remove(known, to);
    return add(std::move(now), to);
  }
  change(it, std::move(now), to);
}

void network_table::add(interface&& now, events& to) {
  make_room_for_events(to);
  const interface& added = links_.try_emplace(now.index, link{std::move(now), listing_}).first->second.state;
  to.push_back(event(interface_change::created, added));
  if (added.is(interface_flags::up)) to.push_back(event(interface_change::up, added));
  if (added.is(interface_flags::running)) to.push_back(event(interface_change::running, added));
}

void network_table::change(link& known, interface&& now, events& to) {
  make_room_for_events(to);
  const interface before = std::exchange(known.state, std::move(now));
  known.seen = listing_;
  const interface& after = known.state;
  if (before.name != after.name) {
    interface_event renamed = event(interface_change::renamed, after);
    renamed.previous_name = name_in_place(before.name);
    to.push_back(renamed);
  }
  const auto tell = [&](bool is, interface_change what) {
    if (is) to.push_back(event(what, after));
  };
  tell(before.mtu != after.mtu, interface_change::mtu);
  tell(before.hardware_address != after.hardware_address, interface_change::hardware_address);
  const auto flag = [&](interface_flags which, interface_change on, interface_change off) {
    if (before.is(which) != after.is(which)) tell(true, after.is(which) ? on : off);
  };
  flag(interface_flags::up, interface_change::up, interface_change::down);
  flag(interface_flags::running, interface_change::running, interface_change::stopped);
}

network_table::link_at network_table::remove(link_at which, events& to) {
  remove_addresses(which->first, to);
  make_room_for_events(to);
  to.push_back(event(interface_change::removed, which->second.state));
  return links_.erase(which);
}

// The kernel tells of each address before it tells that the interface went; this matters where messages were lost.
void network_table::remove_addresses(std::uint32_t index, events& to) {
  for (auto each = addresses_.lower_bound({index, {}, 0});
       each != addresses_.end() && each->second.state.interface_index == index;) {
    each = remove(each, to);
  }
}

void network_table::put(const interface_address& now, bool listed, events& to) {
  const address_key key = key_of(now);
  const auto known = addresses_.find(key);
  if (known != addresses_.end()) {
    if (!listed || known->second.seen != listing_) change(known->second, now, to);
    return;
  }
  if (listed && removed_addresses_.contains(key)) return;
  // Before the interface itself was listed: the addresses are listed after it.
  if (!links_.contains(now.interface_index)) return;
  make_room_for_events(to);
  addresses_.try_emplace(key, address{now, listing_});
  to.push_back(event(interface_change::address_added, now));
  if (is_usable(now.flags)) to.push_back(event(interface_change::address_usable, now));
  if (now.is(address_flags::duplicate)) to.push_back(event(interface_change::address_duplicate, now));
  if (now.is(address_flags::deprecated)) to.push_back(event(interface_change::address_deprecated, now));
}

void network_table::change(address& known, const interface_address& now, events& to) {
  make_room_for_events(to);
  const address_flags before = std::exchange(known.state, now).flags;
  known.seen = listing_;
  const auto tell = [&](interface_change what) { to.push_back(event(what, now)); };
  const auto gained = [&](address_flags which) { return now.is(which) && !has_all(before, which); };
  if (is_usable(now.flags) && !is_usable(before)) tell(interface_change::address_usable);
  if (gained(address_flags::duplicate)) {
    tell(interface_change::address_duplicate);
  } else if (!is_usable(now.flags) && is_usable(before)) {
    tell(interface_change::address_unusable);
  }
  if (gained(address_flags::deprecated)) tell(interface_change::address_deprecated);
  if (has_all(before, address_flags::deprecated) && !now.is(address_flags::deprecated)) {
    tell(interface_change::address_preferred);
  }
}

network_table::address_at network_table::remove(address_at which, events& to) {
  make_room_for_events(to);
  to.push_back(event(interface_change::address_removed, which->second.state));
  return addresses_.erase(which);
}

}  // namespace uring6::inline v0
