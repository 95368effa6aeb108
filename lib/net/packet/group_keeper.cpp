#include "uring6/group_keeper.hpp"

#include <fmt/format.h>
#include <cassert>

#include <limits>

#include "net/packet/membership_keeper.hpp"
#include "sys/failure/failure_note.hpp"
#include "sys/socket/socket.hpp"
#include "uring6/descriptor.hpp"
#include "uring6/event_loop.hpp"
#include "uring6/stop.hpp"
#include "uring6/this_task.hpp"
#include "uring6/timer.hpp"
#include "uring6/with_timeout.hpp"

namespace uring6::inline v0 {
namespace detail {
namespace {

// Octets of netlink messages that may wait, some hundreds of changes. With more the keeper compares all memberships
// with a listing, which costs more than a lost message.
constexpr std::size_t room_for_changes = std::size_t{1} << 20;

class run_of_keeper {
 public:
  explicit run_of_keeper(membership_keeper& of) noexcept : of_(of) { of_.is_running = true; }
  run_of_keeper(const run_of_keeper&) = delete;
  run_of_keeper& operator=(const run_of_keeper&) = delete;
  ~run_of_keeper() { of_.is_running = false; }

 private:
  membership_keeper& of_;
};

// Waits until the kernel has news, or a refused join is due. Returns only what ends the run.
task<result<void>> wait_for_news(membership_keeper& by) {
  const int fd = by.watch().fd();
  const auto limit = by.until_next_try();
  if (limit) {
    const auto ready = co_await with_timeout(*limit, fd::poll(fd, poll_events::readable));
    if (!ready && ready.error() != errc::deadline_exceeded) co_return fail(ready.error());
  } else {
    const auto ready = co_await fd::poll(fd, poll_events::readable);
    if (!ready) co_return fail(ready.error());
  }
  co_return result<void>();
}

task<result<void>> keep_true(std::shared_ptr<membership_keeper> by) {
  if (!by) co_return fail(errc::closed);
  if (!by->loop().runs_here()) co_return fail(errc::wrong_thread);
  if (by->is_running) co_return fail(std::errc::operation_in_progress);
  const run_of_keeper running(*by);
  const auto token = co_await this_task::stop_token();
  for (;;) {
    if (token.stop_requested()) co_return fail(errc::canceled);
    if (!by->is_open()) co_return fail(errc::closed);
    if (!by->loop().spend()) {
      co_await this_task::yield();
      continue;
    }
    const auto progress = by->follow_one();
    const bool lacks_memory = !progress && progress.error() == std::errc::not_enough_memory;
    if (!progress && !lacks_memory) co_return fail(progress.error());
    if (lacks_memory || *progress == watch_progress::pause) {
      const auto slept = co_await sleep_for(by->watch().pause());
      if (!slept) co_return fail(slept.error());
    } else if (*progress == watch_progress::nothing) {
      by->try_again();
      const auto waited = co_await wait_for_news(*by);
      if (!waited) co_return fail(waited.error());
    }
  }
}

result<std::shared_ptr<membership_keeper>> make_keeper(event_loop& loop, packet_conn& pc) {
  if (const auto error = check_thread(loop)) return fail(error);
  if (!pc.is_open()) return fail(errc::closed);
  auto watch = network_watch::open({.groups = true, .receive_buffer = room_for_changes});
  if (!watch) return fail(watch.error());
  if (watch->network_namespace() != network_namespace_of(pc.native_handle()).value_or(0))
    return fail(std::errc::invalid_argument);
  auto made = std::make_shared<membership_keeper>(loop.core(), pc, *std::move(watch));
  if (const auto known = made->synchronize(); !known) return fail(known.error());
  return made;
}

// The interface of this name; `errc::unknown_zone` if none can have it.
result<wanted_interface> named_interface(std::string_view name) noexcept {
  if (name.empty() || name.size() >= interface_name{}.text.size() || name.find('\0') != name.npos)
    return fail(errc::unknown_zone);
  return wanted_interface{.name = name_in_place(name)};
}

result<wanted_interface> numbered_interface(std::uint32_t index) noexcept {
  if (index == 0 || index > static_cast<std::uint32_t>(std::numeric_limits<int>::max()))
    return fail(errc::unknown_zone);
  return wanted_interface{.index = index};
}

result<void> check_caller(const std::shared_ptr<membership_keeper>& inside) noexcept {
  if (!inside || !inside->is_open()) return fail(errc::closed);
  if (const auto error = inside->loop().check_thread()) return fail(error);
  return {};
}

// The object of a failure that is noted.
template <class Interface>
auto text_of_membership(const ip_address& group, const Interface& on) {
  return [&] { return fmt::format("{} on {}", group.to_string(), on); };
}

}  // namespace
}  // namespace detail

result<group_keeper> group_keeper::open(event_loop& loop, packet_conn& pc) {
  auto made = detail::make_keeper(loop, pc);
  if (!made)
    return detail::noted(result<group_keeper>(fail(made.error())), "group_keeper",
                         [] { return std::string("netlink"); });
  return group_keeper(*std::move(made));
}

group_keeper::group_keeper(event_loop& loop, packet_conn& pc) : group_keeper(or_throw(open(loop, pc))) {}
group_keeper::group_keeper(std::shared_ptr<detail::membership_keeper> inside) noexcept : inside_(std::move(inside)) {}
group_keeper::group_keeper(group_keeper&&) noexcept = default;
group_keeper& group_keeper::operator=(group_keeper&&) noexcept = default;
group_keeper::~group_keeper() = default;

result<void> group_keeper::keep(std::string_view name, const ip_address& group, const uring6::source_filter& sources) {
  const auto outcome = detail::check_caller(inside_)
                           .and_then([&] { return detail::named_interface(name); })
                           .and_then([&](const auto& on) { return inside_->keep(on, group, sources); });
  return detail::noted(outcome, "keep", detail::text_of_membership(group, name));
}
result<void> group_keeper::keep(std::uint32_t index, const ip_address& group, const uring6::source_filter& sources) {
  const auto outcome = detail::check_caller(inside_)
                           .and_then([&] { return detail::numbered_interface(index); })
                           .and_then([&](const auto& on) { return inside_->keep(on, group, sources); });
  return detail::noted(outcome, "keep", detail::text_of_membership(group, index));
}

result<void> group_keeper::leave(std::string_view name, const ip_address& group) {
  const auto outcome = detail::check_caller(inside_)
                           .and_then([&] { return detail::named_interface(name); })
                           .and_then([&](const auto& on) { return inside_->leave(on, group); });
  return detail::noted(outcome, "leave", detail::text_of_membership(group, name));
}
result<void> group_keeper::leave(std::uint32_t index, const ip_address& group) {
  const auto outcome = detail::check_caller(inside_)
                           .and_then([&] { return detail::numbered_interface(index); })
                           .and_then([&](const auto& on) { return inside_->leave(on, group); });
  return detail::noted(outcome, "leave", detail::text_of_membership(group, index));
}

task<result<void>> group_keeper::run() {
  return detail::keep_true(inside_);
}

std::vector<kept_membership> group_keeper::memberships() const {
  return inside_ ? inside_->memberships() : std::vector<kept_membership>();
}

group_keeper_stats group_keeper::stats() const noexcept {
  return inside_ ? inside_->stats() : group_keeper_stats{};
}

std::string to_string(const kept_membership& of) {
  std::string text = of.group.to_string();
  if (!of.name.view().empty()) text += fmt::format(" on {}", of.name.view());
  if (of.interface_index != 0) text += fmt::format(" ifindex={}", of.interface_index);
  if (of.joined) return text + " joined";
  return of.error ? fmt::format("{} refused: {}", text, of.error.message()) : text + " absent";
}

}  // namespace uring6::inline v0
