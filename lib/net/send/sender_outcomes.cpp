// What becomes of a train when the kernel has said how its send ended: its datagrams have their results, or it goes
// again.
#include <netinet/in.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "net/receive/receiver.hpp"
#include "net/send/send_outcome.hpp"
#include "net/send/sender.hpp"
#include "sys/socket/socket.hpp"
#include "sys/socket/socket_options.hpp"

namespace uring6::detail {
namespace {

// The kernel does not know the operation or that it has to report (before 6.2), or a restriction forbids it: then there
// is no notification. Or the socket cannot do it.
bool is_unknown(const send_train& train, int result) noexcept {
  return result == -EOPNOTSUPP || (!train.has_result() && (result == -EINVAL || result == -EACCES));
}

}  // namespace

bool sender::is_impatient(const send_train::part& part) noexcept {
  return part.owner && part.owner->impatient_;
}
bool sender::is_canceled(const send_train::part& part) noexcept {
  return part.owner && part.owner->ended_;
}

void sender::on_train_sent(send_train& train, int outcome) noexcept {
  static_cast<train_hook&>(train).unlink();
  if (outcome == -EMSGSIZE && path_mtu_reader_) path_mtu_reader_->restart_read();
  if (train.zero_copy && finish_zero_copy(train, outcome)) return;
  const bool full = outcome == -EAGAIN && !train.may_park;
  if (full) {
    if (!closing_ &&
        std::ranges::none_of(train.parts(), [](const auto& each) { return is_canceled(each) || is_impatient(each); })) {
      ++counters_.parked;
      ++trains_waiting_;
      train.may_park = true;
      submit(train);
      if (!queued_writers_.empty()) schedule_flush();  // it may be that nothing more goes
      return;
    }
    outcome = -ECANCELED;
  }
  if (std::exchange(train.may_park, false)) --trains_waiting_;
  if (error_reader_ && retry_after_icmp_error(train, outcome)) [[unlikely]]
    return;
  const bool is_train = train.datagrams() > 1;
  const bool canceled = outcome == -ECANCELED;
  if (is_train && refuses_trains(outcome)) {
    ++counters_.refused;
    // Without checksum offload no train goes at all; else a shorter one may.
    train.refused_length = outcome == -EIO ? 1 : train.segment();
  } else if (!canceled) {
    const std::error_code error = outcome < 0 ? error_of(outcome, train.destination()) : std::error_code{};
    if (!error && is_train) {
      ++counters_.trains;
      refusing_.on_train_taken(train.destination().address, train.segment());
    }
    if (!error && train.refused_length > 0) refusing_.remember(train.destination().address, train.refused_length);
    // Sent singly, only the first of them would have met the answer.
    if (train.refused_length == 0 && !(is_train && !train.addressed() && may_be_icmp_error(outcome))) {
      for (const send_train::part& each : train.parts()) record(each, error);
      release(train);
      return;
    }
    record(train.take_first(), error);
  }
  // Whoever gave up, or would not wait, gets its error; the others' datagrams go again.
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
    record(each, why);
    each = {};
  }
  if (train.is_done()) {
    release(train);
  } else {
    trains_to_resend_.push_back(train);
    schedule_flush();
  }
}

// All that the kernel says of a zone that there is not: it has no route there.
std::error_code sender::error_of(int outcome, const endpoint& to) const noexcept {
  if (outcome == -ENETUNREACH && to.address.zone() != 0) {
    if (const auto known = check_zone(fd_, to.address); !known) return known.error();
  }
  return {-outcome, std::system_category()};
}

namespace {

// Whether a report waits in the socket's error queue, or an error pends.
bool has_report(int fd) noexcept {
  pollfd asked{fd, 0, 0};
  return ::poll(&asked, 1, 0) == 1 && (asked.revents & POLLERR) != 0;
}

// Whether "too long" can be what another destination's path has answered: not of a single datagram that the socket is
// not to fragment, of which it is the kernel's own refusal, unless it is so short that every path takes it. To send
// that again would make a second report.
bool may_be_others_mtu(const send_train& train, int fd) noexcept {
  constexpr std::size_t every_path_takes = 1280 - 40 - 8;  // IPv6
  if (train.datagrams() > 1) return true;
  const bool v4 = train.destination().address.is_v4_mapped();
  if (!v4 && train.bytes() <= every_path_takes) return true;
  const int discovery =
      get_option(fd, v4 ? option::v4_mtu_discovery : option::mtu_discovery).value_or(IPV6_PMTUDISC_DO);
  const bool fragments = discovery != IPV6_PMTUDISC_DO && discovery != IPV6_PMTUDISC_PROBE;
  return fragments && (v4 || get_option(fd, option::dont_fragment) == 0);
}

}  // namespace

// An unconnected socket that keeps reports refuses the next send, whatever its destination, with an error that the
// network has reported of an earlier one, once. True: the send is made again. If it then ends otherwise, the error was
// the socket's, and a reader gets it; if it ends the same, it is its own.
bool sender::retry_after_icmp_error(send_train& train, int outcome) noexcept {
  constexpr unsigned max_retries = 4;  // answers to others may come faster than this one goes
  const int retried_error = std::exchange(train.retried_error, 0);
  const bool own = outcome == retried_error && !is_always_icmp_error(outcome);
  if (retried_error != 0 && !own) error_reader_->deliver_error({-retried_error, std::system_category()});
  // A train longer than the path's new MTU is refused with what the report of that MTU is: which of both it was the
  // kernel does not say, but the report is there.
  if (own && outcome == -EMSGSIZE && train.datagrams() > 1 && has_report(fd_)) {
    error_reader_->deliver_error({EMSGSIZE, std::system_category()});
  }
  const bool may_be_others =
      !own && (may_be_icmp_error(outcome) || (outcome == -EMSGSIZE && may_be_others_mtu(train, fd_)));
  if (!may_be_others || closing_ || train.retries == max_retries || std::ranges::any_of(train.parts(), is_canceled)) {
    train.retries = 0;
    return false;
  }
  ++train.retries;
  train.retried_error = outcome;
  submit(train);
  return true;
}

// A send without a copy is over. True: it goes again, the normal way. Else the outcome is one as of other sends.
bool sender::finish_zero_copy(send_train& train, int& outcome) noexcept {
  train.zero_copy = false;
  --trains_waiting_;
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
  if (std::ranges::any_of(train.parts(), is_canceled)) {  // and need not wait for another try
    outcome = -ECANCELED;
    return false;
  }
  submit(train);
  return true;
}

}  // namespace uring6::detail
