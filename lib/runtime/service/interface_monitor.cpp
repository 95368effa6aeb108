#include "uring6/interface_monitor.hpp"

#include <cassert>
#include <new>
#include <optional>

#include "runtime/loop/loop_core.hpp"
#include "sys/failure/failure_note.hpp"
#include "sys/interface/network_watch.hpp"
#include "uring6/descriptor.hpp"
#include "uring6/event_loop.hpp"
#include "uring6/stop.hpp"
#include "uring6/this_task.hpp"
#include "uring6/timer.hpp"

namespace uring6::inline v0 {
namespace detail {

/// The watch of one monitor, and the events of the last message that were not taken yet.
class network_source {
 public:
  network_source(std::shared_ptr<loop_core> loop, network_watch watch)
      : loop_(std::move(loop)), watch_(std::move(watch)) {}

  loop_core& loop() const noexcept { return *loop_; }
  const network_watch& watch() const noexcept { return watch_; }

  /// Takes the oldest event; nullopt if there is none.
  std::optional<interface_event> take() noexcept {
    if (next_ == events_.size()) return std::nullopt;
    return events_[next_++];
  }

  /// Reads one message. Precondition: all events were taken. `std::errc::not_enough_memory`: the message is lost, and
  /// the network will be listed.
  result<watch_progress> read() noexcept {
    assert(next_ == events_.size() && "the events of the last message are taken before the next one is read");
    events_.clear();
    next_ = 0;
    try {
      return watch_.read(events_);
    } catch (const std::bad_alloc&) {
      watch_.list_anew();
      return fail(std::errc::not_enough_memory);
    }
  }

  /// A coroutine waits from `begin` to `end`. False: another one does.
  bool begin_wait() noexcept { return !std::exchange(is_awaited_, true); }
  void end_wait() noexcept {
    assert(is_awaited_);
    is_awaited_ = false;
  }

 private:
  std::shared_ptr<loop_core> loop_;
  network_watch watch_;
  std::vector<interface_event> events_;
  std::size_t next_ = 0;
  bool is_awaited_ = false;
};

namespace {

class wait_for_network {
 public:
  explicit wait_for_network(network_source& on) noexcept : on_(on.begin_wait() ? &on : nullptr) {}
  wait_for_network(const wait_for_network&) = delete;
  wait_for_network& operator=(const wait_for_network&) = delete;
  ~wait_for_network() {
    if (on_) on_->end_wait();
  }
  explicit operator bool() const noexcept { return on_ != nullptr; }

 private:
  network_source* on_;
};

// An event is taken in the same step in which it is returned, so a coroutine that is stopped loses none.
task<result<interface_event>> next_change(std::shared_ptr<network_source> from) {
  if (!from) co_return fail(errc::closed);
  if (!from->loop().runs_here()) co_return fail(errc::wrong_thread);
  const wait_for_network wait(*from);
  if (!wait) co_return fail(std::errc::operation_in_progress);
  const auto token = co_await this_task::stop_token();
  for (;;) {
    if (token.stop_requested()) co_return fail(errc::canceled);
    if (!from->loop().spend()) {
      co_await this_task::yield();
      continue;
    }
    if (const auto event = from->take()) co_return *event;
    const auto progress = from->read();
    if (!progress) co_return fail(progress.error());
    if (*progress == watch_progress::pause) {
      const auto slept = co_await sleep_for(from->watch().pause());
      if (!slept) co_return fail(slept.error());
    } else if (*progress == watch_progress::nothing) {
      const auto ready = co_await fd::poll(from->watch().fd(), poll_events::readable);
      if (!ready) co_return fail(ready.error());
    }
  }
}

bool is_the_same(const ip_address& seen, const ip_address& wanted) noexcept {
  return (wanted.zone() == 0 ? seen.with_zone(0) : seen) == wanted;
}

task<result<interface_address>> usable_address(result<interface_monitor> network, ip_address wanted) {
  if (!network) co_return fail(network);
  if (!wanted.is_unicast()) co_return fail(std::errc::invalid_argument);
  for (;;) {
    const auto seen = co_await network->next();
    if (!seen) co_return fail(seen.error());
    if (!is_the_same(seen->address, wanted)) continue;
    if (seen->what == interface_change::address_duplicate) co_return fail(std::errc::address_not_available);
    if (seen->what != interface_change::address_usable) continue;
    for (const interface_address& each : network->addresses()) {
      if (each.address == seen->address && each.interface_index == seen->interface_index) co_return each;
    }
  }
}

}  // namespace
}  // namespace detail

result<interface_monitor> interface_monitor::open(event_loop& loop, const interface_monitor_options& options) {
  const auto make = [&]() -> result<interface_monitor> {
    if (!loop.core()) return fail(errc::closed);
    auto watch = network_watch::open({.routes = options.routes, .receive_buffer = options.receive_buffer});
    if (!watch) return fail(watch.error());
    return interface_monitor(std::make_shared<detail::network_source>(loop.core(), *std::move(watch)));
  };
  return detail::noted(make(), "interface_monitor", [] { return std::string("netlink"); });
}

interface_monitor::interface_monitor(event_loop& loop, const interface_monitor_options& options)
    : interface_monitor(or_throw(open(loop, options))) {}

interface_monitor::interface_monitor(std::shared_ptr<detail::network_source> source) noexcept
    : source_(std::move(source)) {}
interface_monitor::interface_monitor(interface_monitor&&) noexcept = default;
interface_monitor::~interface_monitor() = default;

task<result<interface_event>> interface_monitor::next() {
  return detail::next_change(source_);
}

std::vector<interface> interface_monitor::interfaces() const {
  std::vector<interface> all;
  if (!source_) return all;
  for (const auto& [index, link] : source_->watch().table().links()) all.push_back(link.state);
  return all;
}

std::vector<interface_address> interface_monitor::addresses() const {
  std::vector<interface_address> all;
  if (!source_) return all;
  for (const auto& [key, address] : source_->watch().table().addresses()) all.push_back(address.state);
  return all;
}

interface_monitor_stats interface_monitor::stats() const noexcept {
  return source_ ? source_->watch().stats() : interface_monitor_stats{};
}

task<result<interface_address>> wait_until_usable(event_loop& loop, const ip_address& address) {
  return detail::usable_address(interface_monitor::open(loop), address);
}

}  // namespace uring6::inline v0
