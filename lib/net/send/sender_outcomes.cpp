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
  return result == -EOPNOTSUPP || (!train.answered() && (result == -EINVAL || result == -EACCES));
}

}  // namespace

bool sender::is_impatient(const send_train::part& part) noexcept {
  return part.owner && part.owner->impatient_;
}
bool sender::gave_up(const send_train::part& part) noexcept {
  return part.owner && part.owner->ended_;
}

void sender::finished(send_train& train, int outcome) noexcept {
  static_cast<train_hook&>(train).unlink();
  if (outcome == -EMSGSIZE && path_mtu_reader_) path_mtu_reader_->look_again();
  if (train.zero_copy && copy_instead(train, outcome)) return;
  const bool full = outcome == -EAGAIN && !train.may_park;
  if (full) {
    if (!closing_ &&
        std::ranges::none_of(train.parts(), [](const auto& each) { return gave_up(each) || is_impatient(each); })) {
      ++counters_.parked;
      ++parked_;
      train.may_park = true;
      launch(train);
      if (!writers_.empty()) hurry();  // it may be that nothing more goes
      return;
    }
    outcome = -ECANCELED;
  }
  if (std::exchange(train.may_park, false)) --parked_;
  if (error_reader_ && send_again(train, outcome)) [[unlikely]]
    return;
  const bool is_train = train.datagrams() > 1;
  const bool canceled = outcome == -ECANCELED;
  if (is_train && refuses_trains(outcome)) {
    ++counters_.refused;
    // Without checksum offload no train goes at all; else a shorter one may.
    train.refused = outcome == -EIO ? 1 : train.segment();
  } else if (!canceled) {
    const std::error_code error = outcome < 0 ? reason_of(outcome, train.destination()) : std::error_code{};
    if (!error && is_train) {
      ++counters_.trains;
      refusing_.train_went(train.destination().address, train.segment());
    }
    if (!error && train.refused > 0) refusing_.remember(train.destination().address, train.refused);
    // Sent singly, only the first of them would have met the answer.
    if (train.refused == 0 && !(is_train && !train.addressed() && is_answer(outcome))) {
      for (const send_train::part& each : train.parts()) account(each, error);
      retire(train);
      return;
    }
    account(train.take_first(), error);
  }
  // Whoever gave up, or would not wait, gets its error; the others' datagrams go again.
  for (send_train::part& each : train.parts()) {
    std::error_code why;
    if (gave_up(each)) {
      why = each.owner->ended_.code();
    } else if (full && is_impatient(each)) {
      why = make_error_code(std::errc::resource_unavailable_try_again);
    } else if (canceled) {
      why = closing_;
    }
    if (each.gone() || !why) continue;
    account(each, why);
    each = {};
  }
  if (train.is_over()) {
    retire(train);
  } else {
    unsent_.push_back(train);
    hurry();
  }
}

// All that the kernel says of a zone that there is not: it has no route there.
std::error_code sender::reason_of(int outcome, const endpoint& to) const noexcept {
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
bool sender::send_again(send_train& train, int outcome) noexcept {
  constexpr unsigned most_tries = 4;  // answers to others may come faster than this one goes
  const int met = std::exchange(train.met, 0);
  const bool own = outcome == met && !is_always_an_answer(outcome);
  if (met != 0 && !own) error_reader_->failed({-met, std::system_category()});
  // A train longer than the path's new MTU is refused with what the report of that MTU is: which of both it was the
  // kernel does not say, but the report is there.
  if (own && outcome == -EMSGSIZE && train.datagrams() > 1 && has_report(fd_)) {
    error_reader_->failed({EMSGSIZE, std::system_category()});
  }
  const bool may_be_others = !own && (is_answer(outcome) || (outcome == -EMSGSIZE && may_be_others_mtu(train, fd_)));
  if (!may_be_others || closing_ || train.tries == most_tries || std::ranges::any_of(train.parts(), gave_up)) {
    train.tries = 0;
    return false;
  }
  ++train.tries;
  train.met = outcome;
  launch(train);
  return true;
}

// A send without a copy is over. True: it goes again, the normal way. Else the outcome is one as of other sends.
bool sender::copy_instead(send_train& train, int& outcome) noexcept {
  train.zero_copy = false;
  --parked_;
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
  if (std::ranges::any_of(train.parts(), gave_up)) {  // and need not wait for another try
    outcome = -ECANCELED;
    return false;
  }
  launch(train);
  return true;
}

}  // namespace uring6::detail
