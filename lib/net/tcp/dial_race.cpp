#include "net/tcp/dial_race.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <new>
#include <utility>

#include "net/tcp/stream_socket.hpp"
#include "net/tcp/tcp_socket.hpp"
#include "sys/socket/socket.hpp"
#include "sys/socket/socket_options.hpp"
#include "uring/submission.hpp"
#include "uring6/timer.hpp"

namespace uring6::inline v0::detail {

std::vector<endpoint> interleave_families(std::span<const endpoint> addresses) {
  std::vector<endpoint> order;
  order.reserve(addresses.size());
  if (addresses.empty()) return order;
  // Where each of the two families goes on.
  std::array<std::size_t, 2> next{};
  bool wants_v4 = addresses.front().address.is_v4_mapped();
  while (order.size() < addresses.size()) {
    std::size_t& at = next[wants_v4];
    while (at < addresses.size() && addresses[at].address.is_v4_mapped() != wants_v4) ++at;
    if (at < addresses.size()) order.push_back(addresses[at++]);
    wants_v4 = !wants_v4;
  }
  return order;
}

dial_race::dial_race(std::shared_ptr<loop_core> loop, result<std::vector<endpoint>> addresses, bool only_v6,
                     const tcp_options& options)
    : loop_(std::move(loop)), only_v6_(only_v6), options_(options), device_(options.device) {
  static_assert(std::is_trivially_destructible_v<tcp_options>);
  options_.device = device_;
  if (!addresses) {
    ended_ = addresses.error();
    note_ = fail(addresses).note();
    return;
  }
  for (const endpoint& each : *addresses) {
    if (only_v6 && each.address.is_v4_mapped()) continue;
    attempts_.push_back(std::make_unique<attempt>(*this, each));
  }
  const bool local_is_v4 = options_.local && options_.local->address.is_v4_mapped();
  if (addresses->empty()) {
    ended_ = make_error_code(std::errc::invalid_argument);
  } else if (attempts_.empty() || (only_v6 && local_is_v4)) {
    ended_ = errc::ipv4_address;
  }
}

dial_race::~dial_race() {
  forget();
  end(errc::canceled, true);
  if (in_flight_ > 0) loop_->drain_until([this] { return in_flight_ == 0; });
}

bool dial_race::suspend(std::coroutine_handle<> waiting, stop_root& stop) {
  begin_wait(waiting);
  assert(waiter_ == waiter::none && next_ == 0 && in_flight_ == 0 && "a race begins once");
  if (!ended_) {
    if (const auto error = loop_->ended() ? make_error_code(errc::closed) : loop_->check_owner()) ended_ = error;
  }
  if (!ended_ && stop.stop_requested()) ended_ = errc::canceled;
  if (ended_) return false;
  stop.prepare(*loop_);
  start_next();
  if (finished()) return false;
  waiter_ = waiter::waits;
  loop_->add(*this);
  listen(stop);
  return true;
}

// Those that cannot even begin are over at once.
void dial_race::start_next() noexcept {
  disarm();
  while (!winner_ && !ended_ && next_ < attempts_.size()) {
    attempt& one = *attempts_[next_++];
    if (const auto error = start(one)) {
      note_error(error);
      continue;
    }
    assert(one.idle() && one.fd);
    ++in_flight_;
    loop_->ring().queue(one);
    if (next_ < attempts_.size()) arm_next();
    return;
  }
  resume_if_finished();
}

// Without memory for the timer, the next one begins only when this one has failed.
void dial_race::arm_next() noexcept {
  assert(next_ < attempts_.size() && in_flight_ > 0 && "there is an attempt to begin, and one to wait for");
  constexpr std::chrono::milliseconds shortest_delay{10};  // RFC 8305, 5
  try {
    arm(*loop_, deadline_after(std::max(options_.attempt_delay, shortest_delay)));
  } catch (const std::bad_alloc&) {
  }
}

std::error_code dial_race::start(attempt& one) noexcept {
  auto fd = open_tcp_socket(only_v6_, options_);
  if (!fd) return fd.error();
  if (const auto zone = check_zone(fd->get(), one.to.address); !zone) return zone.error();
  if (const auto asked = ask_hook(options_, fd->get(), one.to); !asked) return asked.error();
  if (options_.local) {
    // Without a port the kernel chooses it as late as it connects: then connections to several peers can share one.
    const auto bound = set_option(fd->get(), option::bind_without_port, !chooses_port()).and_then([&] {
      return bind_socket(fd->get(), *options_.local);
    });
    if (!bound) return bound.error();
  }
  one.fd = std::move(*fd);
  return {};
}

void dial_race::attempt::prepare(io_uring_sqe& entry) noexcept {
  assert(fd && in.in_flight_ > 0);
  submission(entry).connect(fd.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name);
}

void dial_race::on_attempt_ended(attempt& one, int result) noexcept {
  assert(one.idle() && one.fd && winner_ != &one && "an attempt ends once");
  // Nothing listens there, or the kernel could not have chosen this port. It chooses another one, most likely; as in
  // Go, it is asked twice more.
  constexpr int max_self_connections = 3;
  if (result == 0 && !chooses_port() && is_connected_to_itself(one.fd.get())) {
    reset_on_close(one.fd.get());
    if (!winner_ && !ended_ && ++one.self_connections < max_self_connections && !start(one)) {
      loop_->ring().queue(one);
      return;
    }
    result = -ECONNREFUSED;
  }
  assert(in_flight_ > 0);
  --in_flight_;
  if (result == 0 && !winner_) {
    // Also when it was to be given up: the connection is there.
    winner_ = &one;
    disarm();
    cancel_all();
  } else {
    one.fd = file_descriptor();
    if (result < 0 && !winner_ && !ended_) {
      note_error({-result, std::system_category()});
      return start_next();
    }
  }
  resume_if_finished();
}

void dial_race::note_error(std::error_code error) noexcept {
  assert(error);
  if (!first_error_) first_error_ = error;
}

void dial_race::resume_if_finished() noexcept {
  assert(in_flight_ <= next_ && next_ <= attempts_.size());
  if (waiter_ == waiter::none || !finished()) return;
  disarm();
  resident::unlink();
  if (std::exchange(waiter_, waiter::none) == waiter::waits) make_ready(*loop_, *this);
}

void dial_race::cancel_all() noexcept {
  for (const auto& each : attempts_) {
    if (!each->idle()) loop_->ring().cancel(*each);
  }
}

void dial_race::end(std::error_code why, bool abandoned) noexcept {
  assert(why);
  disarm();
  if (abandoned && waiter_ == waiter::waits) waiter_ = waiter::is_gone;
  if (!ended_) {
    ended_ = why;
    if (!winner_) cancel_all();
  }
  resume_if_finished();
}

result<std::unique_ptr<stream_socket>> dial_race::outcome() {
  assert(in_flight_ == 0 && waiter_ == waiter::none && "the race has finished");
  assert((winner_ ? static_cast<bool>(winner_->fd) : ended_ || first_error_) && "called once");
  forget();
  if (winner_) return std::make_unique<stream_socket>(loop_, std::move(winner_->fd), winner_->to);
  return failure((ended_ ? ended_ : first_error_).code(), note_);
}

void dial_race::tell_wait(wait_listing& to) const {
  if (next_ > 0 && attempts_[next_ - 1]->fd) to.descriptor(attempts_[next_ - 1]->fd.get());
  to.ready_if(ready_node::linked());
}

std::string dial_race::object() const {
  if (attempts_.empty()) return {};
  std::string text = attempts_.front()->to.to_string();
  if (attempts_.size() > 1) text += " and " + std::to_string(attempts_.size() - 1) + " more";
  if (options_.local) text += " from " + options_.local->to_string();
  if (!device_.empty()) text += " on " + device_;
  return text;
}

}  // namespace uring6::inline v0::detail
