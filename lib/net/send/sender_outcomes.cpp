// What the sender does when the kernel has answered a send: each datagram gets its result, or the train is sent again.
#include <netinet/in.h>
#include <poll.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <utility>

#include "net/receive/receiver.hpp"
#include "net/send/send_outcome.hpp"
#include "net/send/sender.hpp"
#include "sys/socket/socket.hpp"
#include "sys/socket/socket_options.hpp"
#include "sys/trace/probe_point.hpp"

namespace uring6::inline v0::detail {
namespace {

// Can this kernel or socket make no zero-copy sends at all? EOPNOTSUPP: the socket cannot. EINVAL or EACCES without a
// first completion: the kernel knows neither the operation nor IORING_SEND_ZC_REPORT_USAGE (before 6.2), or a
// restriction of the ring forbids the operation.
bool is_unknown(const send_train& train, int result) noexcept {
  return result == -EOPNOTSUPP || (!train.has_result() && (result == -EINVAL || result == -EACCES));
}

}  // namespace

bool sender::is_impatient(const send_train::part& part) noexcept {
  return part.owner && part.owner->kind_ == write_waiter::kind::nonblocking;
}
bool sender::is_canceled(const send_train::part& part) noexcept {
  return part.owner && part.owner->ended_;
}

void sender::on_train_sent(send_train& train, int outcome) noexcept {
  assert(train.owner == this);
  assert(train.idle() && train.datagrams() > 0 && "a train in flight has datagrams without a result");
  train.become(send_train::state::sent);
  static_cast<train_hook&>(train).unlink();
  if (outcome == -EMSGSIZE && path_mtu_reader_) path_mtu_reader_->restart_read();
  if (train.next_send == send_train::mode::zero_copy && finish_zero_copy(train, outcome)) return;
  const bool full = outcome == -EAGAIN && train.quiet();
  if (full) {
    if (!closing_ &&
        std::ranges::none_of(train.parts(), [](const auto& each) { return is_canceled(each) || is_impatient(each); })) {
      ++counters_.parked;
      set_mode(train, send_train::mode::may_park);
      submit(train);
      if (!queued_writers_.empty()) schedule_flush();  // lets fail_nonblocking_writers end them if no train is left
      return;
    }
    outcome = -ECANCELED;
  }
  // A signal, or a cancel that found a worker of the kernel inside of the call: nothing was sent.
  if (outcome == -EINTR) outcome = -ECANCELED;
  set_mode(train, send_train::mode::quiet);
  if (error_reader_ && retry_after_icmp_error(train, outcome)) [[unlikely]]
    return;
  const bool is_train = train.datagrams() > 1;
  const bool canceled = outcome == -ECANCELED;
  URING6_PROBE(train_sent, fd_, outcome, train.datagrams());
  if (is_train && refuses_trains(outcome)) {
    ++counters_.refused;
    URING6_PROBE(train_refused, fd_, outcome, train.segment());
    // EIO refuses trains of every length (no checksum offload); else the route may take trains of shorter datagrams.
    train.refused_length = outcome == -EIO ? 1 : train.segment();
  } else if (!canceled) {
    const std::error_code error = outcome < 0 ? error_of(outcome, train.destination()) : std::error_code{};
    if (!error && is_train) {
      ++counters_.trains;
      refusing_.on_train_taken(train.destination().address, train.segment());
    }
    if (!error && train.refused_length > 0) refusing_.remember(train.destination().address, train.refused_length);
    // All datagrams share the result, unless it is an ICMP error that a connected socket returned for a train: had the
    // datagrams gone singly, only the first send would have met the error.
    if (train.refused_length == 0 && !(is_train && !train.addressed() && may_be_icmp_error(outcome))) {
      for (const send_train::part& each : train.parts()) record(each, error, train.destination());
      release(train);
      return;
    }
    record(train.take_first(), error, train.destination());
  }
  // Parts of canceled writers, and of non-blocking ones that found no room, get their error. The other parts go again.
  for (send_train::part& each : train.parts()) {
    std::error_code why;
    if (is_canceled(each)) {
      why = each.owner->ended_.code();
    } else if (full && is_impatient(each)) {
      why = make_error_code(std::errc::resource_unavailable_try_again);
    } else if (canceled) {
      why = closing_;
    }
    if (each.done() || !why) continue;
    record(each, why, train.destination());
    each = {};
  }
  if (train.is_done()) {
    release(train);
  } else {
    train.become(send_train::state::to_resend);
    trains_to_resend_.push_back(train);
    schedule_flush();
  }
}

// For an unknown zone, and for an IPv4 address on a socket of IPv6 only, the kernel reports ENETUNREACH. Find out which
// of both it was to return the better error.
std::error_code sender::error_of(int outcome, const endpoint& to) const noexcept {
  assert(outcome < 0);
  if (outcome == -ENETUNREACH) {
    if (to.address.is_v4_mapped() && get_option(fd_, option::only_v6) == 1) return errc::ipv4_address;
    if (to.address.zone() != 0) {
      if (const auto known = check_zone(fd_, to.address); !known) return known.error();
    }
  }
  return {-outcome, std::system_category()};
}

namespace {

// Does the socket have a report in its error queue, or a pending error? Poll tells both as POLLERR.
bool has_report(int fd) noexcept {
  pollfd asked{fd, 0, 0};
  return ::poll(&asked, 1, 0) == 1 && (asked.revents & POLLERR) != 0;
}

// Can EMSGSIZE be an ICMP error ("packet too big") about another destination? Not for a single datagram that the socket
// must not fragment and that is longer than the minimum MTU allows: there the kernel itself refuses the send, and a
// second try would add a second report to the error queue.
bool may_be_others_mtu(const send_train& train, int fd) noexcept {
  constexpr std::size_t every_path_takes = 1280 - 40 - 8;  // octets: the minimum MTU of IPv6 less both headers
  if (train.datagrams() > 1) return true;
  const bool v4 = train.destination().address.is_v4_mapped();
  if (!v4 && train.bytes() <= every_path_takes) return true;
  const int discovery =
      get_option(fd, v4 ? option::v4_mtu_discovery : option::mtu_discovery).value_or(IPV6_PMTUDISC_DO);
  const bool fragments = discovery != IPV6_PMTUDISC_DO && discovery != IPV6_PMTUDISC_PROBE;
  return fragments && (v4 || get_option(fd, option::dont_fragment) == 0);
}

}  // namespace

// A socket that keeps error reports fails its next send with the pending error. EMSGSIZE is such an error (the path's
// MTU has shrunk), but also the kernel's refusal of a train with segments above the MTU, and a report in the queue may
// be an old one. So the sender takes the pending error before the first send of a flush. On a connected socket the
// error ends that send, as if the kernel had refused it: true. Every other error goes to a reader.
bool sender::take_pending_error(send_train& train) noexcept {
  assert(error_reader_ != nullptr);
  // A train that is sent again between two flushes has the kernel's answer, and is not answered for twice.
  if (flush_ == flushing::no) return false;
  // A single datagram of a connected socket meets the pending error by itself, and ends with it.
  if (errors_are_the_peers_ && train.datagrams() == 1) return false;
  if (std::exchange(pending_error_taken_, true)) return false;
  had_reports_ = has_report(fd_);
  if (!had_reports_) return false;
  const int pending = get_option(fd_, option::pending_error).value_or(0);
  if (pending == 0) return false;
  if (!errors_are_the_peers_ || (pending == EMSGSIZE && train.datagrams() > 1)) {
    error_reader_->deliver_error({pending, std::system_category()});
    return false;
  }
  set_mode(train, send_train::mode::quiet);
  on_train_sent(train, -pending);
  return true;
}

// Whether the error that a send met can be about an earlier send. On a connected conn only the report of a path MTU
// goes to a reader, and only if a train meets it: the sender would take it for a refusal of the train.
bool sender::may_be_other_error(const send_train& train, int outcome) const noexcept {
  if (errors_are_the_peers_) return outcome == -EMSGSIZE && train.datagrams() > 1;
  return may_be_icmp_error(outcome) || (outcome == -EMSGSIZE && may_be_others_mtu(train, fd_));
}

// On a socket that keeps error reports, a send returns the ICMP error about an earlier send, on an unconnected one also
// about a send to another destination. So a send that ends with an error that may be such a one is repeated. If the
// second try ends otherwise, the error belonged to an earlier send, and the reader gets it; if it ends the same, the
// error is the send's own. True: the send is repeated.
bool sender::retry_after_icmp_error(send_train& train, int outcome) noexcept {
  constexpr unsigned max_retries = 4;  // each try may meet the ICMP error of yet another send
  const int retried_error = std::exchange(train.retried_error, 0);
  assert(error_reader_ && retried_error <= 0 && train.retries <= max_retries);
  const bool own = outcome == retried_error && !is_always_icmp_error(outcome);
  if (retried_error != 0 && !own) error_reader_->deliver_error({-retried_error, std::system_category()});
  // The kernel refuses a train with segments above the path's new MTU with EMSGSIZE, and reports that MTU with
  // EMSGSIZE, too. It does not tell which of both this was; a report that came since the flush began means that the
  // reader has to hear of it.
  if (own && outcome == -EMSGSIZE && train.datagrams() > 1 && !had_reports_ && has_report(fd_)) {
    had_reports_ = true;
    error_reader_->deliver_error({EMSGSIZE, std::system_category()});
  }
  if (own || !may_be_other_error(train, outcome) || closing_ || train.retries == max_retries ||
      std::ranges::any_of(train.parts(), is_canceled)) {
    train.retries = 0;
    return false;
  }
  ++train.retries;
  train.retried_error = outcome;
  submit(train);
  return true;
}

// A zero-copy send has ended. True: it failed for the lack of a copy, and is submitted again as a copying send. False:
// `outcome` is treated as that of any other send.
bool sender::finish_zero_copy(send_train& train, int& outcome) noexcept {
  assert(train.next_send == send_train::mode::zero_copy && trains_waiting_ > 0);
  set_mode(train, send_train::mode::quiet);
  if (outcome >= 0) {
    ++counters_.zero_copy;
    if (!train.copied()) return false;
    ++counters_.copied;
    if (zero_copy_) zero_copy_->copied_towards(train.destination().address);
    return false;
  }
  if (!fails_without_copy(outcome)) return false;
  if (is_unknown(train, outcome)) zero_copy_.reset();
  if (outcome == -EAGAIN) return false;
  // A canceled writer waits for the end of this send, not for another try.
  if (std::ranges::any_of(train.parts(), is_canceled)) {
    outcome = -ECANCELED;
    return false;
  }
  submit(train);
  return true;
}

}  // namespace uring6::inline v0::detail
