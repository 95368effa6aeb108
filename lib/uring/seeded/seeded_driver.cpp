#include "uring/seeded/seeded_driver.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>
#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstddef>
#include <span>
#include <utility>

#include "uring/kernel_abi.hpp"
#include "uring/readiness/attempts.hpp"
#include "uring/readiness/provided_read.hpp"

namespace uring6::inline v0::detail {
namespace {

// How often the seed chooses what is rare in a kernel: once in so many times, each a choice.
constexpr unsigned short_submission = 16;
constexpr unsigned wake_for_nothing = 16;
constexpr unsigned interruption = 32;
constexpr unsigned no_room = 16;     // a quiet send finds the socket's buffer full
constexpr unsigned no_memory = 16;   // of a send without a copy, for its notification, or to pin its payload
constexpr unsigned ends_early = 16;  // of an armed read, with its datagram
constexpr unsigned part_of_stream = 4;
constexpr unsigned goes_on_before_cancel = 3;
constexpr unsigned laziest = 4;        // an operation goes on in one of so many enters at least
constexpr unsigned most_in_a_row = 8;  // datagrams of an armed read before the other operations go on

enum class traced : std::uint8_t { enter = 1, taken, posted, overflown };

bool must_not_wait(const ::io_uring_sqe& entry) noexcept {
  switch (entry.opcode) {
    case IORING_OP_SEND:
    case IORING_OP_SENDMSG:
    case IORING_OP_RECV:
    case IORING_OP_RECVMSG:
      return entry.msg_flags & MSG_DONTWAIT;
    default:
      return entry.flags & IOSQE_CQE_SKIP_SUCCESS;
  }
}

bool is_a_file(int fd) noexcept {
  struct stat about {};
  return ::fstat(fd, &about) == 0 && S_ISREG(about.st_mode);
}

/// A number made of the octets that these pieces of memory have now.
std::uint64_t digest_of(std::span<const iovec> pieces) noexcept {
  trace_digest sum;
  for (const iovec& each : pieces) {
    for (const std::byte octet : std::span(static_cast<const std::byte*>(each.iov_base), each.iov_len))
      sum.add(std::to_integer<std::uint64_t>(octet));
  }
  return sum.value();
}

/// A new descriptor has another number in each process.
std::int32_t without_descriptor(const ::io_uring_sqe& entry, std::int32_t result) noexcept {
  const bool is_descriptor = entry.opcode == IORING_OP_ACCEPT || entry.opcode == IORING_OP_OPENAT;
  return is_descriptor ? std::min(result, 0) : result;
}

}  // namespace

result<std::unique_ptr<ring_driver>> seeded_driver::create(std::uint64_t seed, const ring_options& options,
                                                           ::io_uring& ring, ring_features& features,
                                                           std::string& reason) {
  constexpr unsigned fewest_completions = 1;  // so that a small queue overflows
  std::unique_ptr<seeded_driver> made(new seeded_driver(seed, ring));
  if (const auto error = made->create_queues(options, fewest_completions, features, reason)) return fail(error);
  // Always readable: a host's loop finds out by `poll` whether there is work.
  made->news_ = file_descriptor(::eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!made->news_) {
    reason = "no eventfd for a ring with a seed";
    return fail_errno(errno);
  }
  made->laziness_ = 1 + made->choices_.below(laziest);
  made->ordered_ = !made->choices_.once_in(2);
  ring.ring_fd = ring.enter_ring_fd = made->news_.get();
  features.why_readiness = fmt::format("the schedule of seed {}, for tests (URING6_DRIVER=seed:{})", seed, seed);
  features.ordered_completions = made->ordered_;
  features.zero_copy_send = true;
  return std::unique_ptr<ring_driver>(std::move(made));
}

int seeded_driver::enter(unsigned wait_for, std::optional<std::chrono::nanoseconds> timeout) noexcept {
  digest_.add(static_cast<unsigned>(traced::enter));
  digest_.add(wait_for);
  flush_overflow();
  const int taken = submit();
  // As in the kernel, a call that did not take all returns at once.
  if (queues_.submission_head() == ring_.sq.sqe_tail) {
    run_round();
    post_ends();
    if (wait_for > 0 && queues_.empty() && !choices_.once_in(wake_for_nothing)) sleep(timeout);
  }
  post_ends();
  return taken;
}

// Returns how many entries were taken; the negative errno if there were some and none was taken.
int seeded_driver::submit() noexcept {
  unsigned& head = queues_.submission_head();
  const unsigned there = ring_.sq.sqe_tail - head;
  const bool takes_all = there == 0 || !choices_.once_in(short_submission);
  const unsigned taken = takes_all ? there : choices_.below(there);
  digest_.add(static_cast<unsigned>(traced::taken));
  digest_.add(taken);
  for (unsigned i = 0; i < taken; ++i) {
    start(ring_.sq.sqes[head & ring_.sq.ring_mask]);
    __atomic_store_n(&head, head + 1, __ATOMIC_RELEASE);
  }
  ring_.sq.sqe_head = head;
  if (there > 0 && taken == 0) return choices_.once_in(2) ? -EAGAIN : -EBUSY;
  return static_cast<int>(taken);
}

void seeded_driver::start(const ::io_uring_sqe& entry) noexcept {
  if (entry.user_data == without_operation::completed) {
    if (entry.opcode == IORING_OP_ASYNC_CANCEL) cancels_.push_back(entry.addr);
    return;  // else an entry that was withdrawn
  }
  seeded_request* const what = place_in(requests_, entry.user_data);
  if (!what) return post(entry.user_data, -ENOMEM, 0);
  assert(!what->in_flight && "the number is of an operation in flight");
  what->entry = entry;
  what->in_flight = true;
  what->tried = what->connecting = false;
  what->transferred = 0;
  what->awaited = 0;
  what->notifies = false;
  if (entry.opcode == IORING_OP_SENDMSG_ZC) return start_without_copy(*what);
  if (const int code = check_entry(entry); code < 0) return finish(*what, attempt_result::end(code));
  if (refuses_quiet(*what)) return finish(*what, attempt_result::end(-EAGAIN));
  if (entry.flags & IOSQE_BUFFER_SELECT) begin_provided_read(*what);
  if (must_not_wait(entry)) {
    while (what->in_flight) attempt_once(*what);
  } else if (choices_.once_in(laziness_)) {
    go_on(*what);
  }
}

bool seeded_driver::refuses_quiet(const request& what) noexcept {
  return (what.entry.flags & IOSQE_CQE_SKIP_SUCCESS) && must_not_wait(what.entry) && choices_.once_in(no_room);
}

// As in the kernel, the first completion has the result, and the notification comes later, also of a send that failed;
// without memory for a notification the error is the only completion.
void seeded_driver::start_without_copy(seeded_request& what) noexcept {
  assert((what.entry.msg_flags & MSG_DONTWAIT) && !(what.entry.flags & IOSQE_CQE_SKIP_SUCCESS));
  if (choices_.once_in(no_memory)) return finish(what, attempt_result::end(-ENOMEM));
  const auto& message = *reinterpret_cast<const msghdr*>(static_cast<std::uintptr_t>(what.entry.addr));
  what.payload.assign(message.msg_iov, message.msg_iov + message.msg_iovlen);
  what.payload_digest = digest_of(what.payload);
  what.notifies = true;
  std::int32_t result = choices_.once_in(no_room) ? -EAGAIN : -ENOBUFS;
  if (!choices_.once_in(no_memory)) {
    ++calls_;
    const auto flags = static_cast<int>(what.entry.msg_flags) | MSG_NOSIGNAL;
    result = static_cast<std::int32_t>(::sendmsg(what.entry.fd, &message, flags));
    if (result < 0) result = -errno;
  }
  digest_.add(static_cast<std::uint32_t>(result));
  post(what.entry.user_data, result, IORING_CQE_F_MORE);
}

// The kernel may have read the payload at any time before this.
void seeded_driver::notify(seeded_request& what) noexcept {
  assert(what.notifies && digest_of(what.payload) == what.payload_digest &&
         "the payload of a send without a copy has changed before its notification");
  const std::uint32_t usage = choices_.once_in(2) ? kernel_abi::notif_usage_zc_copied : 0;
  finish(what, attempt_result::end(static_cast<std::int32_t>(usage), IORING_CQE_F_NOTIF));
}

// All operations and cancels, in any order, each or not.
void seeded_driver::run_round() noexcept {
  round_.clear();
  for (const seeded_request& each : requests_) {
    if (each.in_flight) round_.push_back({false, each.entry.user_data});
  }
  for (const std::uint64_t each : cancels_) round_.push_back({true, each});
  choices_.shuffle(round_);
  for (const step& each : round_) {
    if (!choices_.once_in(laziness_)) continue;
    if (each.cancels) {
      carry_out_cancel(each.user_data);
    } else if (seeded_request* const what = find(each.user_data)) {
      go_on(*what);
    }
  }
}

// Nothing may be put off any more before the thread sleeps. What becomes ready then goes on once.
void seeded_driver::sleep(std::optional<std::chrono::nanoseconds> timeout) noexcept {
  while (!cancels_.empty()) carry_out_cancel(cancels_[choices_.below(static_cast<unsigned>(cancels_.size()))]);
  for (seeded_request& each : requests_) {
    if (each.in_flight && each.awaited == 0) go_on(each);
  }
  post_ends();
  if (!queues_.empty()) return;
  descriptors_.clear();
  round_.clear();
  for (const seeded_request& each : requests_) {
    if (!each.in_flight) continue;
    descriptors_.push_back({.fd = each.entry.fd, .events = static_cast<short>(each.awaited), .revents = 0});
    round_.push_back({false, each.entry.user_data});
  }
  timespec limit{};
  if (timeout) {
    const auto count = std::max<std::int64_t>(timeout->count(), 0);
    limit = {.tv_sec = static_cast<time_t>(count / 1'000'000'000), .tv_nsec = static_cast<long>(count % 1'000'000'000)};
  }
  if (::ppoll(descriptors_.data(), descriptors_.size(), timeout ? &limit : nullptr, nullptr) <= 0) return;
  std::size_t ready = 0;
  for (std::size_t i = 0; i < round_.size(); ++i) {
    if (descriptors_[i].revents != 0) round_[ready++] = round_[i];
  }
  round_.resize(ready);
  choices_.shuffle(round_);
  for (const step& each : round_) {
    if (seeded_request* const what = find(each.user_data)) go_on(*what);
  }
}

// The operation may have ended: then the cancel came too late.
void seeded_driver::carry_out_cancel(std::uint64_t user_data) noexcept {
  std::erase(cancels_, user_data);
  seeded_request* what = find(user_data);
  if (what && choices_.once_in(goes_on_before_cancel)) {
    go_on(*what);
    what = find(user_data);
  }
  if (what && !what->notifies)  // nothing is left to cancel of a send that waits for its notification
    finish(*what, attempt_result::end(what->transferred > 0 ? static_cast<int>(what->transferred) : -ECANCELED));
}

void seeded_driver::go_on(seeded_request& what) noexcept {
  if (what.notifies) return notify(what);
  const unsigned attempts = what.stays_armed() ? 1 + choices_.below(most_in_a_row) : 1;
  for (unsigned i = 0; i < attempts && what.in_flight; ++i) {
    if (!attempt_once(what)) return;
  }
}

// False: its descriptor is not ready.
bool seeded_driver::attempt_once(seeded_request& what) noexcept {
  if (is_interrupted(what)) {
    finish(what, attempt_result::end(what.transferred > 0 ? static_cast<int>(what.transferred) : -EINTR));
    return true;
  }
  if (!(what.entry.flags & IOSQE_BUFFER_SELECT)) ++calls_;
  attempt_result came_to = attempt_any(what);
  what.tried = true;
  what.awaited = 0;
  const bool transfers = what.entry.opcode == IORING_OP_READ || what.entry.opcode == IORING_OP_WRITE;
  if (came_to.what == attempt_result::kind::not_ready && transfers && is_a_file(what.entry.fd))
    came_to = attempt_blocking(what);  // such a file is always ready
  if (came_to.what == attempt_result::kind::not_ready) {
    what.awaited = came_to.events;
    return false;
  }
  if (came_to.what == attempt_result::kind::ended) finish(what, came_to);
  return true;
}

bool seeded_driver::is_interrupted(const request& what) noexcept {
  switch (what.entry.opcode) {
    case IORING_OP_ACCEPT:
    case IORING_OP_READ:
    case IORING_OP_WRITE:
    case IORING_OP_SEND:
    case IORING_OP_SENDMSG:
    case IORING_OP_RECV:
    case IORING_OP_RECVMSG:
      return !must_not_wait(what.entry) && choices_.once_in(interruption);
    default:
      return false;
  }
}

attempt_result seeded_driver::attempt_any(seeded_request& what) noexcept {
  if (what.entry.flags & IOSQE_BUFFER_SELECT) {
    buffer_group* const group = groups_.find(what.entry.buf_group);
    return group ? attempt_armed_read(what, *group) : attempt_result::end(-ENOBUFS);
  }
  const bool moves = what.entry.opcode == IORING_OP_SEND || what.entry.opcode == IORING_OP_RECV;
  const bool part = moves && what.entry.len - what.transferred > 1 && choices_.once_in(part_of_stream);
  return part && is_stream(what.entry.fd) ? attempt_part(what) : attempt_call(what, what.tried);
}

// As if a signal had interrupted the operation after a part.
attempt_result seeded_driver::attempt_part(seeded_request& what) noexcept {
  const std::uint32_t whole = what.entry.len;
  what.entry.len = what.transferred + 1 + choices_.below(whole - what.transferred - 1);
  const attempt_result came_to = attempt_call(what, what.tried);
  what.entry.len = whole;
  return came_to;
}

// One datagram. `more`: the read stays armed.
attempt_result seeded_driver::attempt_armed_read(seeded_request& what, buffer_group& group) noexcept {
  const bool stays = what.stays_armed();
  const std::uint16_t armed = std::exchange(what.entry.ioprio, std::uint16_t{0});
  attempt_result came_to = attempt_provided_read(what, group, queues_, calls_);
  what.entry.ioprio = armed;
  if (came_to.what != attempt_result::kind::ended || came_to.result < 0) return came_to;
  if (came_to.result == 0) {
    // The end of a stream, or an empty datagram: the kernel takes no buffer for either, and the read ends.
    group.put_back();
    return attempt_result::end(0);
  }
  // A full queue ends the read.
  const bool full = !overflow_.empty() || queues_.room() == 0;
  if (!stays || full || choices_.once_in(ends_early)) return came_to;
  post(what.entry.user_data, came_to.result, came_to.flags | IORING_CQE_F_MORE);
  return attempt_result::go_on();
}

void seeded_driver::finish(seeded_request& what, const attempt_result& how) noexcept {
  what.in_flight = false;
  digest_.add(static_cast<std::uint32_t>(without_descriptor(what.entry, how.result)));
  const bool quiet = (what.entry.flags & IOSQE_CQE_SKIP_SUCCESS) && how.result >= 0;
  if (quiet) return;
  if (ordered_) return post(what.entry.user_data, how.result, how.flags);
  ends_.push_back({what.entry.user_data, how.result, how.flags});
}

// Behind completions that have overflown the others wait, too: their order holds.
void seeded_driver::post(std::uint64_t user_data, std::int32_t result, std::uint32_t flags) noexcept {
  const bool fits = overflow_.empty() && queues_.room() > 0;
  digest_.add(static_cast<unsigned>(fits ? traced::posted : traced::overflown));
  digest_.add(user_data);
  digest_.add(flags);
  if (fits) return queues_.post(user_data, result, flags);
  overflow_.push_back({user_data, result, flags});
  queues_.show(IORING_SQ_CQ_OVERFLOW);
}

void seeded_driver::post_ends() noexcept {
  while (!ends_.empty()) {
    const kept_completion each = ends_.front();
    ends_.pop_front();
    post(each.user_data, each.result, each.flags);
  }
}

void seeded_driver::flush_overflow() noexcept {
  while (!overflow_.empty() && queues_.room() > 0) {
    const kept_completion& each = overflow_.front();
    queues_.post(each.user_data, each.result, each.flags);
    overflow_.pop_front();
  }
  queues_.show(overflow_.empty() ? 0U : IORING_SQ_CQ_OVERFLOW);
}

// nullptr: it has ended.
seeded_driver::seeded_request* seeded_driver::find(std::uint64_t user_data) noexcept {
  const auto index = static_cast<std::uint32_t>(user_data);
  if (index >= requests_.size()) return nullptr;
  seeded_request& what = requests_[index];
  return what.in_flight && what.entry.user_data == user_data ? &what : nullptr;
}

}  // namespace uring6::inline v0::detail
