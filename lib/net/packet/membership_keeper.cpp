#include "net/packet/membership_keeper.hpp"

#include <cassert>

#include <algorithm>
#include <new>

#include "sys/multicast/group_request.hpp"
#include "sys/multicast/membership.hpp"
#include "sys/multicast/source_filter.hpp"

namespace uring6::inline v0::detail {
namespace {

// Octets: an interface with a smaller MTU has no IPv6 (IPV6_MIN_MTU, RFC 8200, 5) or no IPv4 (ETH_MIN_MTU, RFC 791).
constexpr std::uint32_t least_mtu_v6 = 1'280;
constexpr std::uint32_t least_mtu_v4 = 68;

// A refused join is tried again after 10 ms: the kernel tells of a new MTU some microseconds before it gives IPv6 back
// to the interface. A second bounds what a lasting refusal costs.
constexpr std::chrono::milliseconds first_delay{10};
constexpr std::chrono::milliseconds longest_delay{1'000};

std::uint64_t& counter_of(group_keeper_stats& all, join_reason why) noexcept {
  switch (why) {
    case join_reason::first:
      return all.first;
    case join_reason::recreated:
      return all.recreated;
    case join_reason::renamed:
      return all.renamed;
    case join_reason::mtu_restored:
      return all.mtu_restored;
    case join_reason::rejoined:
      break;
  }
  return all.rejoined;
}

}  // namespace

membership_keeper::membership_keeper(std::shared_ptr<loop_core> loop, packet_conn& pc, network_watch watch)
    : loop_(std::move(loop)), conn_(pc), watch_(std::move(watch)) {}

bool membership_keeper::has_protocol(const kept& of) noexcept {
  return of.mtu >= (of.group.is_v4_mapped() ? least_mtu_v4 : least_mtu_v6);
}

// --- the program's wishes ---

result<void> membership_keeper::synchronize() {
  // Listings that the kernel interrupts: the network of a machine that starts changes for some seconds, but not for a
  // hundred listings.
  constexpr int attempts = 100;
  int pauses = 0;
  for (;;) {
    const auto progress = follow_one();
    if (!progress) return fail(progress.error());
    if (*progress == watch_progress::nothing) return {};
    if (*progress == watch_progress::pause && ++pauses == attempts)
      return fail(std::errc::resource_unavailable_try_again);
  }
}

std::vector<membership_keeper::kept>::iterator membership_keeper::find(const wanted_interface& on,
                                                                       const ip_address& group) noexcept {
  return std::ranges::find_if(kept_, [&](const kept& each) { return each.wanted == on && each.group == group; });
}

void membership_keeper::find_interface(kept& of) const noexcept {
  for (const auto& [index, link] : watch_.table().links()) {
    const bool is_it = of.wanted.index != 0 ? of.wanted.index == index : of.wanted.name.view() == link.state.name;
    if (!is_it) continue;
    of.index = index;
    of.mtu = link.state.mtu;
    return;
  }
}

result<void> membership_keeper::keep(const wanted_interface& on, const ip_address& group,
                                     const source_filter& sources) {
  const int fd = conn_.native_handle();
  if (const auto checked = check_group(fd, on.index, group); !checked) return fail(checked.error());
  if (const auto checked = check_can_hear(fd, group); !checked) return checked;
  // What has changed since the last read: the interface of that name may be another one now.
  if (const auto read = synchronize(); !read) return read;
  const ip_address without_zone = group.with_zone(0);
  if (find(on, without_zone) != kept_.end()) return fail(errc::already_joined);

  if (sources.mode == filter_mode::include && sources.sources.empty()) return fail(std::errc::invalid_argument);
  kept one{.wanted = on, .group = without_zone, .sources = sources};
  find_interface(one);
  if (group.zone() != 0 && group.zone() != one.index) return fail(errc::zone_mismatch);
  kept_.reserve(kept_.size() + 1);
  if (waits_for_try(one)) {
    if (const auto joined = join(one); !joined) return joined;
  }
  kept_.push_back(std::move(one));
  return {};
}

result<void> membership_keeper::leave(const wanted_interface& on, const ip_address& group) {
  const auto at = find(on, group.with_zone(0));
  if (at == kept_.end()) return fail(errc::not_joined);
  give_up(*at);
  kept_.erase(at);
  return {};
}

std::vector<kept_membership> membership_keeper::memberships() const {
  std::vector<kept_membership> all;
  all.reserve(kept_.size());
  for (const kept& each : kept_) {
    all.push_back({.name = each.wanted.name,
                   .interface_index = each.index != 0 ? each.index : each.wanted.index,
                   .group = each.group,
                   .joined = each.joined,
                   .error = each.refusal});
  }
  return all;
}

group_keeper_stats membership_keeper::stats() const noexcept {
  group_keeper_stats now = stats_;
  now.overruns = watch_.stats().overruns;
  return now;
}

// --- the network's changes ---

result<watch_progress> membership_keeper::follow_one() noexcept {
  events_.clear();
  result<watch_progress> progress = fail(std::errc::not_enough_memory);
  try {
    progress = watch_.read(events_);
  } catch (const std::bad_alloc&) {
    watch_.list_anew();
  }
  // Also without memory: what the message has told until then is not told again.
  for (const interface_event& event : events_) {
    for (kept& each : kept_) follow(each, event);
  }
  for (const group_change& change : watch_.group_changes()) follow(change);
  return progress;
}

void membership_keeper::follow(const group_change& change) noexcept {
  for (kept& each : kept_) {
    if (each.joined && listed_group{each.index, each.group} == change.of) each.is_forgotten = !change.joined;
  }
}

void membership_keeper::follow(kept& of, const interface_event& event) noexcept {
  const bool is_on_it = of.index != 0 && of.index == event.interface_index;
  const bool by_name = of.wanted.index == 0;
  const bool is_wanted = by_name ? of.wanted.name == event.name : of.wanted.index == event.interface_index;
  switch (event.what) {
    case interface_change::created:
      if (is_wanted) place(of, event.interface_index, event.mtu, join_reason::recreated);
      break;
    case interface_change::removed:
      if (is_on_it) lose(of);
      break;
    case interface_change::renamed:
      if (!by_name) break;
      if (is_on_it && !is_wanted) lose(of);
      if (is_wanted && !is_on_it) place(of, event.interface_index, event.mtu, join_reason::renamed);
      break;
    case interface_change::mtu:
      if (is_on_it) resize(of, event.mtu);
      break;
    case interface_change::overrun:
      of.is_doubtful = of.joined;
      break;
    case interface_change::synchronized:
      if (std::exchange(of.is_doubtful, false)) verify(of);
      break;
    default:
      // News of the interface may be that IPv6 is back on it.
      if (is_on_it && waits_for_try(of)) (void)join(of);
      break;
  }
}

void membership_keeper::place(kept& of, std::uint32_t index, std::uint32_t mtu, join_reason why) noexcept {
  if (of.index != 0) lose(of);
  of.index = index;
  of.mtu = mtu;
  of.reason = of.was_joined ? why : join_reason::first;
  if (waits_for_try(of)) (void)join(of);
}

// Takes the group off the socket's list, also where the interface has forgotten it or is gone; unless it is wanted on
// this interface by another wish, too (one by name, one by index).
bool membership_keeper::give_up(kept& of) noexcept {
  if (!std::exchange(of.joined, false)) return false;
  const auto is_same = [&](const kept& each) {
    return each.joined && each.index == of.index && each.group == of.group;
  };
  if (std::ranges::none_of(kept_, is_same)) (void)uring6::leave_group(conn_.native_handle(), of.index, of.group);
  return true;
}

void membership_keeper::lose(kept& of) noexcept {
  if (give_up(of)) ++stats_.left;
  of.index = 0;
  of.refusal.clear();
  of.is_forgotten = of.is_doubtful = false;
}

void membership_keeper::resize(kept& of, std::uint32_t mtu) noexcept {
  of.mtu = mtu;
  if (!has_protocol(of)) {
    const std::uint32_t index = of.index;
    lose(of);
    of.index = index;
    of.reason = of.was_joined ? join_reason::mtu_restored : join_reason::first;
  } else if (!of.joined) {
    (void)join(of);
  }
}

// The kernel lists no IPv4 groups, so those are joined again in any case.
void membership_keeper::verify(kept& of) noexcept {
  if (!of.joined) return;
  if (!of.group.is_v4_mapped() && watch_.listed({of.index, of.group})) return;
  join_anew(of);
}

void membership_keeper::join_anew(kept& of) noexcept {
  const std::uint32_t index = of.index;
  lose(of);
  of.index = index;
  of.reason = join_reason::rejoined;
  if (waits_for_try(of)) (void)join(of);
}

result<void> membership_keeper::ask_to_join(const kept& of) noexcept try {
  const int fd = conn_.native_handle();
  if (of.sources == source_filter{}) {
    const auto joined = uring6::join_group(fd, of.index, of.group);
    if (joined || joined.error() != errc::already_joined) return joined;
    // The program had joined it, with sources perhaps, before it was kept.
  }
  return uring6::set_source_filter(fd, of.index, of.group, of.sources);
} catch (const std::bad_alloc&) {
  return fail(std::errc::not_enough_memory);
}

result<void> membership_keeper::join(kept& of) noexcept {
  assert(waits_for_try(of));
  const result<void> joined = ask_to_join(of);
  if (!joined) {
    ++stats_.refused;
    of.refusal = joined.error();
    of.delay = std::clamp(2 * of.delay, first_delay, longest_delay);
    of.again = loop_->now() + of.delay;
    return joined;
  }
  of.joined = of.was_joined = true;
  of.refusal.clear();
  of.delay = {};
  of.is_forgotten = of.is_doubtful = false;
  ++stats_.joins;
  ++counter_of(stats_, of.reason);
  return {};
}

void membership_keeper::try_again() noexcept {
  for (kept& each : kept_) {
    if (each.is_forgotten) join_anew(each);
    if (waits_for_try(each) && each.again <= loop_->now()) (void)join(each);
  }
}

std::optional<std::chrono::steady_clock::duration> membership_keeper::until_next_try() const noexcept {
  std::optional<std::chrono::steady_clock::time_point> next;
  for (const kept& each : kept_) {
    if (waits_for_try(each) && (!next || each.again < *next)) next = each.again;
  }
  if (!next) return std::nullopt;
  return std::max(*next - loop_->now(), std::chrono::steady_clock::duration::zero());
}

}  // namespace uring6::inline v0::detail
