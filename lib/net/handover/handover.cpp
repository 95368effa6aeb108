#include "uring6/handover.hpp"

#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <cstddef>
#include <new>
#include <span>
#include <utility>
#include <vector>

#include "net/handover/handover_channel.hpp"
#include "net/packet/packet_socket.hpp"
#include "net/tcp/accept_queue.hpp"
#include "sys/failure/failure_note.hpp"
#include "uring6/this_task.hpp"

namespace uring6::inline v0 {
namespace {

using detail::clock;
using detail::handover_kind;
using detail::offered_socket;
namespace wire = uring6::wire;

/// The sockets of a hand-over from the end of their reads on. The destructor gives it up, unless the successor has
/// confirmed.
class resting_sockets {
 public:
  resting_sockets(int channel, std::span<const offered_socket> sockets) noexcept
      : channel_(channel), sockets_(sockets) {}
  resting_sockets(const resting_sockets&) = delete;
  resting_sockets& operator=(const resting_sockets&) = delete;
  ~resting_sockets() {
    if (!decided_) decide(taken_at_last());
  }

  /// Ends the reads. After an error those of the sockets before it rest, until the destructor.
  result<void> begin() noexcept {
    for (const offered_socket& each : sockets_) {
      const auto begun = each.packets ? each.packets->begin_handover() : each.connections->begin_handover();
      if (!begun) return begun;
      ++resting_;
    }
    return {};
  }

  /// Does a reader still have a datagram that it was resumed for, and has not taken?
  bool has_reservations() const noexcept {
    const auto has = [](const offered_socket& each) {
      return each.packets && each.packets->reading().has_reservations();
    };
    return std::ranges::any_of(sockets_, has);
  }

  /// The successor has confirmed.
  void taken() noexcept { decide(true); }

  /// Ends the time in which the successor can confirm. Returns whether it has.
  bool give_up() noexcept {
    const bool taken = taken_at_last();
    decide(taken);
    return taken;
  }

  /// Why the successor has ended, as an errno; 0: it did not say. After `give_up`.
  std::uint32_t refusal() const noexcept { return refusal_; }

 private:
  void decide(bool taken) noexcept {
    decided_ = true;
    for (const offered_socket& each : sockets_.first(resting_)) {
      if (each.packets) {
        taken ? each.packets->finish_handover() : each.packets->give_up_handover();
      } else {
        taken ? each.connections->finish_handover() : each.connections->give_up_handover();
      }
    }
  }

  // After the shutdown a confirmation meets EPIPE; one that was sent before it is in the queue. So both processes know
  // the same.
  bool taken_at_last() noexcept {
    ::shutdown(channel_, SHUT_RD);
    std::array<std::byte, 64> area{};
    for (;;) {
      const auto got = receive_message(channel_, area);
      if (!got || got->size == 0) return false;
      if (got->truncated) continue;
      const auto view = detail::read_message(std::span(area).first(got->size));
      if (view && view->kind == handover_kind::taken && view->version == detail::handover_version) return true;
      if (view && view->kind == handover_kind::refused) refusal_ = detail::read_short(view->body).value_or(EPROTO);
    }
  }

  int channel_;
  std::uint32_t refusal_ = 0;
  std::span<const offered_socket> sockets_;
  std::size_t resting_ = 0;  // so many of them rest
  bool decided_ = false;
};

task<result<void>> send_datagrams(int channel, std::span<const kept_datagram> all, std::span<std::byte> area,
                                  clock::time_point until) {
  while (!all.empty()) {
    wire::writer to(area);
    write_head(to, handover_kind::datagrams);
    std::size_t count = 0;
    while (count < all.size() && to.position() < detail::enough_in_message)
      detail::write_datagram(to, all[count++]);
    assert(to.size() && "a longest datagram fits behind what is enough");
    const auto sent = co_await detail::send_when_possible(channel, to.written(), -1, until);
    if (!sent) co_return sent;
    all = all.subspan(count);
  }
  co_return result<void>();
}

/// Sends a socket, and the datagrams that were read ahead.
task<result<void>> send_socket(int channel, const offered_socket& what, const released_packet& held,
                               std::span<std::byte> area, clock::time_point until) {
  detail::offered_head head;
  head.listener = what.packets == nullptr;
  head.name = what.name;
  head.datagrams = static_cast<std::uint32_t>(held.datagrams.size());
  head.kernel_drops = held.kernel_drops;
  head.peer = held.peer;
  wire::writer to(area);
  write_socket(to, head);
  assert(to.size());
  const auto sent = co_await detail::send_when_possible(channel, to.written(), held.fd, until);
  if (!sent) co_return sent;
  co_return co_await send_datagrams(channel, held.datagrams, area, until);
}

result<released_packet> offer(const offered_socket& what) noexcept {
  if (what.packets) return what.packets->offer();
  if (what.connections->closed()) return fail(errc::closed);
  released_packet listener;
  listener.fd = what.connections->fd();
  return listener;
}

/// What is sent does not change any more, so that the kernel's drops are told together with the datagrams before them.
result<std::vector<released_packet>> offer_all(std::span<const offered_socket> sockets) {
  std::vector<released_packet> all;
  all.reserve(sockets.size());
  for (const offered_socket& each : sockets) {
    auto held = offer(each);
    if (!held) return fail(held.error());
    all.push_back(std::move(*held));
  }
  return all;
}

task<result<void>> send_all(int channel, std::span<const offered_socket> sockets, std::span<std::byte> area,
                            clock::time_point until) {
  const auto held = offer_all(sockets);
  if (!held) co_return fail(held.error());
  for (std::size_t i = 0; i < sockets.size(); ++i) {
    const auto sent = co_await send_socket(channel, sockets[i], (*held)[i], area, until);
    if (!sent) co_return sent;
  }
  wire::writer end(area);
  write_short(end, handover_kind::end, static_cast<std::uint32_t>(sockets.size()));
  const auto sent = co_await detail::send_when_possible(channel, end.written(), -1, until);
  if (!sent) co_return sent;
  const auto answer = co_await detail::take_message(channel, area, until);
  if (!answer) co_return fail(answer.error());
  if (answer->view.kind != handover_kind::taken) co_return fail(errc::malformed);
  co_return result<void>();
}

/// The successor may confirm while the memory runs out: no exception leaves this, so that the caller asks whether it
/// has.
task<result<void>> send_all_or_fail(int channel, std::span<const offered_socket> sockets, std::span<std::byte> area,
                                    clock::time_point until) {
  result<void> done;
  try {
    done = co_await send_all(channel, sockets, area, until);
  } catch (const std::bad_alloc&) {
    done = fail(std::errc::not_enough_memory);
  }
  co_return done;
}

task<result<void>> await_successor(int channel, std::span<std::byte> area) {
  const auto ready = co_await detail::take_message(channel, area, clock::time_point::max());
  if (!ready) co_return fail(ready.error());
  if (ready->view.kind != handover_kind::ready) co_return fail(errc::malformed);
  co_return result<void>();
}

task<result<void>> hand_over(int channel, std::span<const offered_socket> sockets, clock::duration limit) {
  if (auto right = check_message_socket(channel); !right) co_return right;
  if (sockets.empty()) co_return fail(std::errc::invalid_argument);
  std::vector<std::byte> area(detail::longest_message);
  auto done = co_await await_successor(channel, area);
  if (done) {
    const clock::time_point until = detail::deadline_after(limit);
    resting_sockets resting(channel, sockets);
    done = resting.begin();
    while (done && resting.has_reservations()) co_await this_task::yield();
    if (done) done = co_await send_all_or_fail(channel, sockets, area, until);
    if (done) {
      resting.taken();
    } else if (resting.give_up()) {
      done = result<void>();
    } else if (done.error() == std::errc::connection_reset && resting.refusal() != 0) {
      done = fail(detail::error_of_wire(resting.refusal()));
    }
  }
  if (!done) detail::refuse(channel, done.error());
  co_return done;
}

task<result<void>> hand_over_noted(int channel, std::span<const offered_socket> sockets, clock::duration limit) {
  result<void> done;
  try {
    done = co_await hand_over(channel, sockets, limit);
  } catch (const std::bad_alloc&) {
    done = fail(std::errc::not_enough_memory);
    detail::refuse(channel, done.error());
  }
  co_return detail::noted(std::move(done), "handover",
                          [=] { return fmt::format("of {} sockets over descriptor {}", sockets.size(), channel); });
}

task<result<void>> fail_later(std::error_code why) {
  co_return fail(why);
}

}  // namespace

result<void> handover::add_socket(detail::offered_socket what) {
  if (what.name.empty() || what.name.size() > detail::longest_handover_name) return fail(errc::out_of_range);
  if (sockets_.size() >= detail::most_handed_over) return fail(errc::out_of_range);
  sockets_.push_back(std::move(what));
  return {};
}

result<void> handover::add(std::string_view name, packet_conn& pc) {
  if (!pc.is_open()) return fail(errc::closed);
  return add_socket({std::string(name), pc.socket(), nullptr});
}

result<void> handover::add(std::string_view name, tcp_listener& listener) {
  if (!listener.is_open()) return fail(errc::closed);
  return add_socket({std::string(name), nullptr, listener.inside_.get()});
}

task<result<void>> handover::send(std::chrono::milliseconds limit) {
  if (std::exchange(sent_, true)) return fail_later(make_error_code(errc::closed));
  return hand_over_noted(channel_, sockets_, detail::saturated(limit));
}

}  // namespace uring6::inline v0
