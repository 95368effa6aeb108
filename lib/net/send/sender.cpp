#include "net/send/sender.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <utility>

#include "net/receive/receiver.hpp"
#include "sys/socket/socket.hpp"
#include "sys/trace/probe_point.hpp"

namespace uring6::inline v0::detail {
namespace {

/// Writes ahead that count as one operation of the turn's budget. Each only copies its datagram, and what one turn
/// writes to a destination leaves as one train: with the budget's 512 a program that writes to 64 destinations in turn
/// would have trains of 8. The slab (2 MiB for a conn) and the conn's 64 trains bound a turn as well.
constexpr std::uint32_t writes_ahead_of_an_operation = 8;

}  // namespace

// --- writers ---

bool sender::wait(write_waiter& writer, stop_root& stop) {
  assert(writer.next_ == 0 && writer.in_flight_ == 0 && writer.sent_ == 0 && "a write begins once");
  assert(!closing_ && !loop_.check_owner());
  if (writer.kind_ == write_waiter::kind::flush) {
    if (!has_unsent()) {
      writer.ended_ = take_error();
      return false;
    }
    stop.prepare(loop_);
    awaiting_writers_.push_back(writer);
    writer.listen(stop);
    schedule_flush();
    // A train that went back to the ring before, as the copy of a refused zero-copy send, is quiet: its send posts no
    // completion that would end a sleep.
    if (trains_held_ > trains_waiting_) loop_.expect_progress();
    return true;
  }
  if (writer.messages_.empty()) return false;
  if (coalesces_ && queued_writers_.empty() && copy_to_slab(writer)) {
    schedule_flush();
    if (++written_ahead_ % writes_ahead_of_an_operation != 0 || loop_.spend()) return false;
    make_ready(loop_, writer);
    return true;
  }
  stop.prepare(loop_);
  queued_writers_.push_back(writer);
  writer.listen(stop);
  schedule_flush();
  return true;
}

// Resumes the writer if every message has a result, and, for flush, no train is left.
void sender::finish_if_done(write_waiter& writer) noexcept {
  assert(static_cast<waiting_hook&>(writer).linked() && "the writer is resumed already");
  assert(writer.next_ <= writer.messages_.size());
  if (writer.in_flight_ > 0 || writer.next_ < writer.messages_.size()) return;
  if (writer.kind_ == write_waiter::kind::flush && !writer.ended_) {
    if (has_unsent()) return;
    writer.ended_ = take_error();
  }
  static_cast<waiting_hook&>(writer).unlink();
  if (!static_cast<ready_node&>(writer).linked()) make_ready(loop_, writer);
}

// Gives the datagrams of this part, which went to `to`, their result, and counts them.
void sender::record(const send_train::part& part, std::error_code error, const endpoint& to) noexcept {
  assert(!part.done());
  if (error) {
    counters_.failed += part.datagrams;
  } else {
    counters_.datagrams += part.datagrams;
    counters_.bytes += part.bytes;
  }
  if (!part.owner) {
    if (error) {
      counters_.coalesced_failed += part.datagrams;
      *late_refusal_ = {error, to};
      refused_late_ = true;
    }
    return;
  }
  write_waiter& writer = *part.owner;
  assert(writer.in_flight_ >= part.datagrams);
  writer.in_flight_ -= part.datagrams;
  if (!error) {
    writer.sent_ += part.datagrams;  // their `error` is empty since they were appended
  } else {
    for (std::size_t i = 0; i < part.datagrams; ++i) part.messages[i * part.stride].error = error;
    if (!writer.first_error_) writer.first_error_ = error;
  }
  finish_if_done(writer);
}

void sender::cancel(write_waiter& writer, std::error_code why) noexcept {
  assert(why);
  if (!static_cast<waiting_hook&>(writer).linked()) return;  // the write is over, its coroutine about to be resumed
  writer.ended_ = why;
  assert(writer.next_ <= writer.messages_.size());
  for (; writer.next_ < writer.messages_.size(); ++writer.next_) {
    write_slot& message = writer.messages_[writer.next_];
    counters_.failed += datagrams_of(message, std::exchange(writer.taken_, 0));
    message.error = why;
  }
  static_cast<waiting_hook&>(writer).unlink();
  awaiting_writers_.push_back(writer);
  ++writer.in_flight_;  // keeps finish_if_done from resuming the writer before all its datagrams were looked at
  trains_to_resend_.for_each([&](send_train& train) {
    for (send_train::part& each : train.parts()) {
      if (each.owner == &writer) {
        record(each, why, train.destination());
        each = {};
      }
    }
  });
  trains_in_flight_.for_each([&](send_train& train) {
    const auto parts = train.parts();
    if (std::ranges::any_of(parts, [&](const send_train::part& each) { return each.owner == &writer; })) {
      loop_.ring().cancel(train);
    }
  });
  --writer.in_flight_;
  finish_if_done(writer);
}

void sender::cancel_and_wait(write_waiter& writer) noexcept {
  assert(static_cast<waiting_hook&>(writer).linked());
  cancel(writer, errc::canceled);
  loop_.drain_until([&] { return writer.in_flight_ == 0; });
}

void sender::fail_waiting(std::error_code why) noexcept {
  assert(why);
  while (!queued_writers_.empty()) cancel(queued_writers_.front(), why);
  awaiting_writers_.for_each([&](write_waiter& each) {
    if (!each.ended_) cancel(each, why);
  });
}

void sender::close(std::error_code why) noexcept {
  assert(why && flush_ == flushing::no);
  closing_ = why;
  do {
    flush();
    // Trains that a route refuses meanwhile are sent again by the next pass, each time with fewer datagrams: this ends.
    loop_.drain_until([this] { return trains_held_ == trains_waiting_ || !trains_to_resend_.empty(); });
    if (!trains_to_resend_.empty()) continue;
    fail_waiting(why);
    trains_in_flight_.for_each([this](send_train& train) { loop_.ring().cancel(train); });
    loop_.drain_until([this] { return trains_in_flight_.empty(); });
  } while (!trains_to_resend_.empty());
  assert(queued_writers_.empty() && sealed_trains_.empty() && filling_trains_.empty() && !slab_train_);
  outbound::unlink();
}

// --- trains ---

// Takes a train from the pool. nullptr when this conn holds its 64, so that a socket that does not drain leaves trains
// to the other conns; when the pool has none; or, if this conn holds none, when there is no memory.
send_train* sender::take_train() noexcept {
  send_train* const train = trains_held_ < max_trains_per_conn ? pool_->take_train(trains_held_ == 0) : nullptr;
  if (!train) {
    // Some of this conn's trains come back with the next enter. If the pool was empty, the flush is scheduled now, so
    // that it runs before those of conns that ask later; at its own limit the conn waits for its own completions.
    if (trains_held_ > trains_waiting_) trains_held_ < max_trains_per_conn ? schedule_flush() : loop_.expect_progress();
    return nullptr;
  }
  train->become(send_train::state::filling);
  ++trains_held_;
  assert(trains_held_ <= max_trains_per_conn);
  train->owner = this;
  train->fd = fd_;
  return train;
}

void sender::give_back(send_train& train) noexcept {
  assert(trains_held_ > 0 && train.owner == this);
  train.become(send_train::state::pooled);
  --trains_held_;
  pool_->give_back(train);
}

// The error of a message that the kernel would refuse, or would send otherwise than the caller meant.
std::error_code sender::check_message(const write_slot& message, const endpoint& to) const noexcept {
  constexpr std::size_t longest_packet = 65'535;
  if (datagram_length(message) > (udp_ ? longest_payload(to.address) : longest_packet)) return errc::too_long;
  if (message.segment > 0 && !udp_) return make_error_code(std::errc::operation_not_supported);
  // A raw socket of IPv6 sends no IPv4 packet: the kernel would look for an IPv6 route to ::ffff:0:0/96.
  if (!udp_ && to.address.is_v4_mapped()) return errc::ipv4_address;
  // The kernel ignores the zone of an address that has none, and would send the datagram.
  if (to.address.zone() != 0 && !has_zones(to.address)) [[unlikely]]
    return check_zone(fd_, to.address).error();
  return {};
}

std::error_code sender::begin_train(send_train& train, const endpoint& to, const write_slot& message,
                                    bool addressed) noexcept {
  assert(train.owner == this && longest_train_ > 0 && longest_train_ <= send_train::max_segments);
  if (const auto refused = check_message(message, to)) return refused;
  const std::size_t limit = refusing_.train_limit(to.address, datagram_length(message), longest_train_);
  return train.begin(to, message.control, addressed, limit);
}

// Counts the trains that are not quiet. A train goes from quiet to either other mode, and back.
void sender::set_mode(send_train& train, send_train::mode to) noexcept {
  assert((train.quiet() || to == send_train::mode::quiet) && "a train waits for room or for a notification, not both");
  if (!train.quiet()) {
    assert(trains_waiting_ > 0);
    --trains_waiting_;
  }
  train.next_send = to;
  if (!train.quiet()) ++trains_waiting_;
  assert(trains_waiting_ <= trains_held_);
}

void sender::schedule_flush() noexcept {
  loop_.flush_before_enter(*this);
}

// No datagram is appended any more. During a flush the train is submitted at once, else by the next flush.
void sender::seal(send_train& train) noexcept {
  assert(train.owner == this);
  if (static_cast<train_hook&>(train).linked()) [[unlikely]] {
    static_cast<train_hook&>(train).unlink();
    pool_->filling().remove(train);
    if (last_found_ == &train) last_found_ = nullptr;
  }
  if (train.single) [[unlikely]]
    return submit_single(train);
  assert(train.datagrams() > 0);
  train.become(send_train::state::sealed);
  if (train.datagrams() > 1) refusing_.on_train_sealed(train.destination().address, train.segment());
  if (zero_copy_ && zero_copy_->takes(train)) [[unlikely]] {
    set_mode(train, send_train::mode::zero_copy);
  }
  if (flush_ != flushing::no) {
    submit(train);
  } else {
    sealed_trains_.push_back(train);
  }
}

// Chooses how the train leaves: at once, with the convoy, or by the ring.
void sender::submit(send_train& train) noexcept {
  assert(!train.is_done() && train.datagrams() > 0);
  if (flush_ == flushing::with_convoy && train.datagrams() > 1 &&
      refusing_.is_doubtful(train.destination().address, train.segment()) && try_doubtful_train(train)) [[unlikely]]
    return;
  if (flush_ == flushing::with_convoy) {
    // Trains of a connected socket go by the ring: the socket reports an ICMP error once, and sendmmsg drops that
    // report when it meets the error behind messages that were sent.
    if (train.quiet() && train.addressed()) {
      train.become(send_train::state::in_convoy);
      return pool_->convoy().add(train);
    }
    submit_convoy();  // the convoy's members were written first, so they leave first
  }
  submit_by_ring(train);
}

void sender::submit_by_ring(send_train& train) noexcept {
  assert(train.idle() && !static_cast<train_hook&>(train).linked() && "the ring or a list of the sender has the train");
  if (error_reader_ && take_pending_error(train)) [[unlikely]]
    return;
  // A quiet send that succeeds posts no completion, so the enter must not sleep when a coroutine waits for this train,
  // or when the rest of a refused train waits for its first datagram.
  if (train.quiet() && (train.parts().front().owner || !awaiting_writers_.empty() || train.refused_length > 0)) {
    loop_.expect_progress();
  }
  train.become(send_train::state::in_flight);
  trains_in_flight_.push_back(train);
  loop_.ring().queue(train);
}

// Sends the convoy: by sendmmsg if it is long or the loop spins, else by the ring, which the loop enters anyway. The
// rest goes by the ring from the first member on that finds no room in the socket's buffer (EAGAIN: the ring can wait
// for room) or that a seccomp filter may have refused (EPERM, ENOSYS).
void sender::submit_convoy() noexcept {
  flush_ = flushing::by_ring;
  send_convoy& convoy = pool_->convoy();
  bool room = convoy.is_worth_a_call() || convoy.repeats_destination_of_train() || loop_.spinner().helps();
  if (room) convoy.fill_train_headers();
  while (room && !convoy.empty()) {
    const int went = convoy.send(fd_);
    loop_.count_send();
    room = went != -EAGAIN && went != -EPERM && went != -ENOSYS;
    for (int left = room ? std::max(went, 1) : 0; left > 0; --left)
      on_member_sent(convoy.take_first(), std::min(went, 0));
    serve_writers();
  }
  while (!convoy.empty()) {
    const auto [train, message, writer] = convoy.take_first();
    assert(train->owner == this && (message == nullptr) == (writer == nullptr));
    if (message) load_single(*train, *message, *writer);
    submit_by_ring(*train);
  }
}

// The convoy's sendmmsg has sent this member, or failed with `outcome` (negative errno).
void sender::on_member_sent(const send_convoy::member& from, int outcome) noexcept {
  assert(outcome <= 0);
  const auto [train, message, writer] = from;
  if (!message) {
    on_train_sent(*train, outcome);
    return resend_at_once(*train);
  }
  assert(train->owner == this && writer->in_flight_ > 0 && "the writer waits for this datagram");
  URING6_PROBE(train_sent, fd_, outcome, 1);
  give_back(*train);
  if (outcome < 0) {
    if (outcome == -EMSGSIZE && path_mtu_reader_) path_mtu_reader_->restart_read();
    record({nullptr, message, writer, 1, 0}, error_of(outcome, message->destination), message->destination);
    return;
  }
  ++counters_.datagrams;
  counters_.bytes += message->payload.size();
  ++writer->sent_;
  if (--writer->in_flight_ == 0) finish_if_done(*writer);
}

// Every datagram of the train has its result: the pool gets the train back, and the slab block with its last train.
void sender::release(send_train& train) noexcept {
  assert(!static_cast<train_hook&>(train).linked());
  assert((!train.block || train.block->trains > 0) && "the block counts the trains whose payload it has");
  if (slab_block* const block = train.block; block && --block->trains == 0) {
    assert(slab_blocks_held_ > 0);
    if (block == slab_block_) slab_block_ = nullptr;
    --slab_blocks_held_;
    pool_->give_back(*block);
  }
  give_back(train);
  serve_writers();
}

// Trains came back: queued messages can go on, and calls of flush() may be over.
void sender::serve_writers() noexcept {
  if (!queued_writers_.empty()) schedule_flush();
  if (!has_unsent()) {
    awaiting_writers_.for_each([this](write_waiter& each) { finish_if_done(each); });
  }
}

void sender::flush() noexcept {
  assert(flush_ == flushing::no && pool_->convoy().empty() && "a flush does not begin inside of another one");
  // No system call past the ring while trains are in flight by the ring, which it would overtake; in the child of a
  // fork, which must not send; or on an unconnected conn that keeps error reports, because sendmmsg drops an error that
  // it meets behind messages that were sent.
  const bool is_childs = static_cast<bool>(loop_.check_thread());
  const bool convoy = trains_in_flight_.empty() && !is_childs && (!error_reader_ || errors_are_the_peers_);
  flush_ = convoy ? flushing::with_convoy : flushing::by_ring;
  pending_error_taken_ = is_childs;  // the error is the parent's: both have the same socket
  while (!trains_to_resend_.empty()) {
    send_train& train = trains_to_resend_.pop_front();
    if (train.refused_length > 0 && flush_ == flushing::with_convoy && pool_->convoy().empty()) send_one_by_one(train);
    if (train.is_done()) {
      release(train);
    } else {
      train.rebuild();
      submit(train);
    }
  }
  while (!sealed_trains_.empty()) submit(sealed_trains_.pop_front());
  if (coalesces_) {
    seal_slab_trains();
    // A writer with datagrams in flight from its own memory goes on so: a copy could overtake them.
    while (!queued_writers_.empty() && queued_writers_.front().in_flight_ == 0 && copy_to_slab(queued_writers_.front()))
      await_results(queued_writers_.front());
    seal_slab_trains();
  }
  build_trains();  // with coalesced writes: of the messages for which the slab has no room
  fail_nonblocking_writers();
  submit_convoy();
  assert(sealed_trains_.empty() && filling_trains_.empty() && !slab_train_ && pool_->convoy().empty() &&
         "what the flush found has been submitted");
  flush_ = flushing::no;
}

// Sends the datagrams of a refused train singly, without the ring: by the ring only one would leave in each turn, with
// datagrams of later trains in between. Returns early at a datagram that has to go by the ring: no room in the socket's
// buffer (EAGAIN), or a seccomp filter may have refused the call (EPERM, ENOSYS).
void sender::send_one_by_one(send_train& train) noexcept {
  assert(train.refused_length > 0);
  while (!train.is_done()) {
    train.rebuild();
    msghdr header;
    train.fill_header(header);
    const int outcome = ::sendmsg(fd_, &header, MSG_DONTWAIT) < 0 ? -errno : 0;
    loop_.count_send();
    if (outcome == -EAGAIN || outcome == -EPERM || outcome == -ENOSYS) return;
    if (outcome == -EMSGSIZE && path_mtu_reader_) path_mtu_reader_->restart_read();
    const std::error_code error = outcome < 0 ? error_of(outcome, train.destination()) : std::error_code{};
    if (!error) refusing_.remember(train.destination().address, train.refused_length);
    record(train.take_first(), error, train.destination());
  }
}

// Sends a train that the route may refuse without the ring, so that the kernel's answer is known before later messages
// leave. False: nothing was sent, and the caller submits the train another way.
bool sender::try_doubtful_train(send_train& train) noexcept {
  assert(train.datagrams() > 1 && flush_ == flushing::with_convoy);
  if (!pool_->convoy().empty() || !train.quiet()) return false;
  if (error_reader_ && take_pending_error(train)) return true;
  msghdr header;
  train.fill_header(header);
  const int outcome = ::sendmsg(fd_, &header, MSG_DONTWAIT) < 0 ? -errno : 0;
  loop_.count_send();
  if (outcome == -EAGAIN || outcome == -EPERM || outcome == -ENOSYS) return false;
  // Behind take_pending_error no other error can have been pending: EMSGSIZE is the refusal of this train.
  if (error_reader_ && outcome == -EMSGSIZE) train.retried_error = outcome;
  on_train_sent(train, outcome);
  resend_at_once(train);
  return true;
}

// If the route has refused this train just now, sends its datagrams before later ones to the same destination leave.
void sender::resend_at_once(send_train& train) noexcept {
  if (train.refused_length == 0 || !static_cast<train_hook&>(train).linked()) return;
  send_one_by_one(train);
  if (!train.is_done()) return;
  static_cast<train_hook&>(train).unlink();
  release(train);
}

// Trains have taken all messages of the writer.
void sender::await_results(write_waiter& writer) noexcept {
  assert(writer.next_ == writer.messages_.size());
  static_cast<waiting_hook&>(writer).unlink();
  awaiting_writers_.push_back(writer);
  finish_if_done(writer);
}

// When every train of this conn waits for the socket to drain, queued non-blocking writes end with EAGAIN.
void sender::fail_nonblocking_writers() noexcept {
  if (trains_held_ > trains_waiting_) return;
  queued_writers_.for_each([this](write_waiter& each) {
    if (each.kind_ == write_waiter::kind::nonblocking)
      cancel(each, make_error_code(std::errc::resource_unavailable_try_again));
  });
}

}  // namespace uring6::inline v0::detail
