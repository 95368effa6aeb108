// What becomes of a train when the kernel has said how its send ended: its datagrams have their results, or it goes
// again.
#include <algorithm>
#include <cerrno>

#include "net/packet_socket.hpp"
#include "net/send_outcome.hpp"
#include "net/sender.hpp"
#include "sys/socket.hpp"

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
  const bool is_train = train.datagrams() > 1;
  const bool canceled = outcome == -ECANCELED;
  if (is_train && refuses_trains(outcome)) {
    ++counters_.refused;
    // Without checksum offload no train goes at all; else a shorter one may.
    train.refused = outcome == -EIO ? 1 : train.segment();
  } else if (!canceled) {
    const std::error_code error = outcome < 0 ? reason_of(outcome, train.destination()) : std::error_code{};
    if (!error && is_train) ++counters_.trains;
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
