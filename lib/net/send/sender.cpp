#include "net/send/sender.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "net/receive/receiver.hpp"
#include "sys/socket/socket.hpp"

namespace uring6::detail {
namespace {

constexpr std::size_t max_trains_per_conn = send_convoy::capacity;  // trains of one conn, of the pool's 512
constexpr std::size_t max_slab_blocks_per_conn = 8;                 // of the slab's 64

// The next one goes elsewhere, so it would be a train by itself; and it is plain: nothing about it is to be told to the
// kernel, or to be refused.
bool is_plain_single(const outgoing& message, const outgoing& next) noexcept {
  constexpr std::size_t fits_always = 65'535 - 20 - 8;  // IPv4
  return !(message.destination == next.destination) && is_empty_for_send(message.control) &&
         message.payload.size() <= fits_always && message.destination.address.zone() == 0;
}

}  // namespace

// --- writers ---

bool sender::wait(write_waiter& writer, stop_root& stop) {
  if (writer.flushes_) {
    if (!has_unsent()) {
      writer.ended_ = take_error();
      return false;
    }
    stop.prepare(loop_);
    awaiting_writers_.push_back(writer);
    writer.listen(stop);
    schedule_flush();
    return true;
  }
  if (writer.messages_.empty()) return false;
  if (options_.coalesce) {
    // As a socket reports an ICMP error: what came later is not sent, so that whoever retries sends it once.
    if (late_error_) {
      writer.ended_ = take_error();
      return false;
    }
    if (queued_writers_.empty() && copy_to_slab(writer)) {
      schedule_flush();
      if (loop_.spend()) return false;
      make_ready(loop_, writer);
      return true;
    }
  }
  stop.prepare(loop_);
  queued_writers_.push_back(writer);
  writer.listen(stop);
  schedule_flush();
  return true;
}

void sender::finish_if_done(write_waiter& writer) noexcept {
  if (writer.in_flight_ > 0 || writer.next_ < writer.messages_.size()) return;
  if (writer.flushes_ && !writer.ended_) {
    if (has_unsent()) return;
    writer.ended_ = take_error();
  }
  static_cast<waiting_hook&>(writer).unlink();
  if (!static_cast<ready_node&>(writer).linked()) make_ready(loop_, writer);
}

void sender::record(const send_train::part& part, std::error_code error) noexcept {
  if (error) {
    counters_.failed += part.datagrams;
  } else {
    counters_.datagrams += part.datagrams;
    counters_.bytes += part.bytes;
  }
  if (!part.owner) {
    if (error) {
      counters_.coalesced_failed += part.datagrams;
      if (!late_error_) late_error_ = error;
    }
    return;
  }
  write_waiter& writer = *part.owner;
  writer.in_flight_ -= part.datagrams;
  if (!error) {
    writer.sent_ += part.datagrams;  // none of them has an error since it was appended
  } else {
    for (outgoing& each : std::span(part.messages, part.datagrams)) each.error = error;
    if (!writer.first_error_) writer.first_error_ = error;
  }
  finish_if_done(writer);
}

void sender::cancel(write_waiter& writer, std::error_code why) noexcept {
  if (!static_cast<waiting_hook&>(writer).linked()) return;  // it is over, and about to be resumed
  writer.ended_ = why;
  for (; writer.next_ < writer.messages_.size(); ++writer.next_) writer.messages_[writer.next_].error = why;
  static_cast<waiting_hook&>(writer).unlink();
  awaiting_writers_.push_back(writer);
  ++writer.in_flight_;  // it must not settle half way
  trains_to_resend_.for_each([&](send_train& train) {
    for (send_train::part& each : train.parts()) {
      if (each.owner == &writer) {
        record(each, why);
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
  cancel(writer, errc::canceled);
  loop_.drain_until([&] { return writer.in_flight_ == 0; });
}

void sender::fail_waiting(std::error_code why) noexcept {
  while (!queued_writers_.empty()) cancel(queued_writers_.front(), why);
  awaiting_writers_.for_each([&](write_waiter& each) {
    if (!each.ended_) cancel(each, why);
  });
}

void sender::close(std::error_code why) noexcept {
  closing_ = why;
  do {
    flush();
    // What a route refuses goes again, which makes it fewer each time.
    loop_.drain_until([this] { return trains_held_ == trains_waiting_ || !trains_to_resend_.empty(); });
    if (!trains_to_resend_.empty()) continue;
    fail_waiting(why);
    trains_in_flight_.for_each([this](send_train& train) { loop_.ring().cancel(train); });
    loop_.drain_until([this] { return trains_in_flight_.empty(); });
  } while (!trains_to_resend_.empty());
  outbound::unlink();
}

// --- trains ---

// A socket that does not drain must not hold what the others send with.
send_train* sender::take_train() noexcept {
  send_train* const train =
      trains_held_ < max_trains_per_conn ? pool_->take_train(trains_held_ == 0) : nullptr;  // of none: no memory
  if (!train) {
    // What it has does not all wait: some is back after the next enter. Who found the pool empty is first in line
    // then.
    if (trains_held_ > trains_waiting_) trains_held_ < max_trains_per_conn ? schedule_flush() : loop_.expect_progress();
    return nullptr;
  }
  ++trains_held_;
  train->owner = this;
  train->fd = fd_;
  return train;
}

void sender::give_back(send_train& train) noexcept {
  --trains_held_;
  pool_->give_back(train);
}

// What need not be tried.
std::error_code sender::check_message(const outgoing& message, const endpoint& to) const noexcept {
  constexpr std::size_t longest_packet = 65'535;
  if (message.payload.size() > (options_.udp ? longest_payload(to.address) : longest_packet)) return errc::too_long;
  // The kernel would look for a route to ::ffff:0:0/96.
  if (!options_.udp && to.address.is_v4_mapped()) return make_error_code(std::errc::invalid_argument);
  // The kernel would send it without a look at the zone.
  if (to.address.zone() != 0 && !has_zones(to.address)) [[unlikely]]
    return check_zone(fd_, to.address).error();
  return {};
}

std::error_code sender::begin_train(send_train& train, const endpoint& to, const outgoing& message,
                                    bool addressed) noexcept {
  if (const auto refused = check_message(message, to)) return refused;
  const std::size_t limit = refusing_.train_limit(to.address, message.payload.size(), longest_train_);
  return train.begin(to, message.control, addressed, limit);
}

void sender::schedule_flush() noexcept {
  loop_.flush_before_enter(*this);
}

void sender::seal(send_train& train) noexcept {
  if (train.datagrams() > 1) refusing_.on_train_sealed(train.destination().address, train.segment());
  if (zero_copy_ && zero_copy_->takes(train)) [[unlikely]] {
    train.zero_copy = true;
    ++trains_waiting_;
  }
  if (flushing_) {
    submit(train);
  } else {
    sealed_trains_.push_back(train);
  }
}

void sender::submit(send_train& train) noexcept {
  if (use_convoy_ && train.datagrams() > 1 && refusing_.is_doubtful(train.destination().address, train.segment()) &&
      try_doubtful_train(train)) [[unlikely]]
    return;
  if (use_convoy_) {
    // A connected socket tells an answer of the network once, and sendmmsg keeps it to itself behind others that went.
    if (train.quiet() && train.addressed()) return pool_->convoy().add(train);
    submit_convoy();  // none overtakes another
  }
  submit_by_ring(train);
}

void sender::submit_by_ring(send_train& train) noexcept {
  // A quiet operation ends without a completion to wake up for: somebody may wait for it, or the rest of the train.
  if (train.quiet() && (train.parts().front().owner || !awaiting_writers_.empty() || train.refused_length > 0)) {
    loop_.expect_progress();
  }
  trains_in_flight_.push_back(train);
  loop_.ring().queue(train);
}

// A few go by the ring, which the loop enters anyway unless it spins. So does the rest from the first one on for which
// the socket's buffer has no room, as the ring waits for that, or which a filter of system calls may have refused.
void sender::submit_convoy() noexcept {
  use_convoy_ = false;
  send_convoy& convoy = pool_->convoy();
  bool room = convoy.is_worth_a_call() || loop_.spinner().helps();
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
    if (message) {
      train->begin(message->destination, message->control, true, 1);  // and that goes: there is nothing to encode
      train->append({message, 1}, true, *writer);
    }
    submit_by_ring(*train);
  }
}

void sender::on_member_sent(const send_convoy::member& from, int outcome) noexcept {
  const auto [train, message, writer] = from;
  if (!message) return on_train_sent(*train, outcome);
  give_back(*train);
  if (outcome < 0) {
    if (outcome == -EMSGSIZE && path_mtu_reader_) path_mtu_reader_->restart_read();
    record({nullptr, message, writer, 1, 0}, error_of(outcome, message->destination));
    return;
  }
  ++counters_.datagrams;
  counters_.bytes += message->payload.size();
  ++writer->sent_;
  if (--writer->in_flight_ == 0) finish_if_done(*writer);
}

void sender::release(send_train& train) noexcept {
  if (slab_block* const block = train.block; block && --block->trains == 0) {
    if (block == slab_block_) slab_block_ = nullptr;
    --slab_blocks_held_;
    pool_->give_back(*block);
  }
  give_back(train);
  serve_writers();
}

// With what came back.
void sender::serve_writers() noexcept {
  if (!queued_writers_.empty()) schedule_flush();
  if (!has_unsent()) {
    awaiting_writers_.for_each([this](write_waiter& each) { finish_if_done(each); });
  }
}

void sender::flush() noexcept {
  // What is on its way by the ring is not overtaken, and the child of a fork sends nothing.
  // sendmmsg would keep an error of the socket to itself that it met behind datagrams that went.
  use_convoy_ = trains_in_flight_.empty() && !loop_.check_thread() && !error_reader_;
  flushing_ = true;
  while (!trains_to_resend_.empty()) {
    send_train& train = trains_to_resend_.pop_front();
    if (train.refused_length > 0 && use_convoy_ && pool_->convoy().empty()) send_one_by_one(train);
    if (train.is_done()) {
      release(train);
    } else {
      train.rebuild();
      submit(train);
    }
  }
  while (!sealed_trains_.empty()) submit(sealed_trains_.pop_front());
  if (slab_train_) seal(*std::exchange(slab_train_, nullptr));
  if (options_.coalesce) {
    while (!queued_writers_.empty() && copy_to_slab(queued_writers_.front())) await_results(queued_writers_.front());
    if (slab_train_) seal(*std::exchange(slab_train_, nullptr));
  }
  build_trains();  // of one that writes ahead: what the slab has no room for
  fail_nonblocking_writers();
  submit_convoy();
  flushing_ = false;
}

// The datagrams of a train that was refused, one behind the other without the ring: by the ring one would go with each
// turn, and those of later trains in between. The rest goes by the ring from the first one on for which the socket's
// buffer has no room, or which a filter of system calls may have refused.
void sender::send_one_by_one(send_train& train) noexcept {
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
    record(train.take_first(), error);
  }
}

// A train that may be refused, before what comes behind it departs: without the ring it is known at once. False: it is
// to go another way.
bool sender::try_doubtful_train(send_train& train) noexcept {
  if (!pool_->convoy().empty() || !train.quiet()) return false;
  msghdr header;
  train.fill_header(header);
  const int outcome = ::sendmsg(fd_, &header, MSG_DONTWAIT) < 0 ? -errno : 0;
  loop_.count_send();
  if (outcome == -EAGAIN || outcome == -EPERM || outcome == -ENOSYS) return false;
  on_train_sent(train, outcome);
  if (train.refused_length == 0 || !static_cast<train_hook&>(train).linked()) return true;
  send_one_by_one(train);
  if (train.is_done()) {
    static_cast<train_hook&>(train).unlink();
    release(train);
  }
  return true;
}

void sender::await_results(write_waiter& writer) noexcept {
  static_cast<waiting_hook&>(writer).unlink();
  awaiting_writers_.push_back(writer);
  finish_if_done(writer);
}

// No train is left for who still waits, and none comes back until the socket drains: whoever would not wait for that is
// told.
void sender::fail_nonblocking_writers() noexcept {
  if (trains_held_ > trains_waiting_) return;
  queued_writers_.for_each([this](write_waiter& each) {
    if (each.impatient_) cancel(each, make_error_code(std::errc::resource_unavailable_try_again));
  });
}

// Those at hand that go alone. The loop over a batch, as send_train::append is.
void sender::add_singles_to_convoy(write_waiter& writer) noexcept {
  if (!use_convoy_ || zero_copy_ || !options_.udp || !writer.addressed_) return;
  send_convoy& convoy = pool_->convoy();
  const std::size_t end = writer.messages_.size();
  std::size_t at = writer.next_;
  for (outgoing* message = &writer.messages_[at]; at + 1 < end && is_plain_single(message[0], message[1]); ++message) {
    send_train* const reserve = take_train();
    if (!reserve) break;
    if (message->error) message->error.clear();
    convoy.add(*message, writer, *reserve);
    ++at;
  }
  writer.in_flight_ += at - writer.next_;
  writer.next_ = at;
}

void sender::build_trains() noexcept {
  send_train* train = nullptr;
  while (!queued_writers_.empty()) {
    write_waiter& writer = queued_writers_.front();
    if (writer.next_ == writer.messages_.size()) {
      await_results(writer);
      continue;
    }
    if (!train && writer.messages_.size() - writer.next_ > 1) add_singles_to_convoy(writer);
    const auto rest = writer.messages_.subspan(writer.next_);
    if (!train) {
      train = take_train();
      if (!train && trains_held_ > 0) return;  // it comes again when one is free
      if (!train) {
        // No train comes back that could take it along later.
        cancel(writer, make_error_code(std::errc::not_enough_memory));
        continue;
      }
      outgoing& message = rest.front();
      if (const auto error =
              begin_train(*train, destination_of(message, writer.addressed_), message, writer.addressed_)) {
        give_back(*std::exchange(train, nullptr));
        ++writer.next_;
        ++writer.in_flight_;
        record({nullptr, &message, &writer, 1, 0}, error);
        continue;
      }
    }
    const std::size_t appended = train->append(rest, writer.addressed_, writer);
    writer.next_ += appended;
    writer.in_flight_ += appended;
    if (appended < rest.size()) seal(*std::exchange(train, nullptr));
  }
  if (train) seal(*train);
}

// --- writing ahead ---

// Copies the writer's datagrams into the slab. False: the slab is full, or no train is free. The writer is suspended,
// and the rest goes out of its own memory.
bool sender::copy_to_slab(write_waiter& writer) noexcept {
  for (; writer.next_ < writer.messages_.size(); ++writer.next_) {
    outgoing& message = writer.messages_[writer.next_];
    std::error_code error;
    if (!write_ahead(message, writer.addressed_, error)) return false;
    message.error = error;
    if (!error) {
      ++writer.sent_;
    } else if (!writer.first_error_) {
      writer.first_error_ = error;
    }
  }
  return true;
}

bool sender::write_ahead(const outgoing& message, bool addressed, std::error_code& error) noexcept {
  const std::size_t length = message.payload.size();
  const endpoint& to = destination_of(message, addressed);
  error = check_message(message, to);
  if (error) return true;
  if (!slab_train_ || slab_block_->room() < length || !slab_train_->accepts(message.payload, to, message.control)) {
    if (slab_train_) seal(*std::exchange(slab_train_, nullptr));
    send_train* const train = take_train();
    if (!train) return false;
    error = begin_train(*train, to, message, addressed);
    if (error || !find_room(length)) {
      give_back(*train);
      return static_cast<bool>(error);
    }
    train->block = slab_block_;
    ++slab_block_->trains;
    slab_train_ = train;
  }
  std::byte* const place = slab_block_->memory.get() + slab_block_->used;
  if (length > 0) std::memcpy(place, message.payload.data(), length);
  slab_block_->used += length;
  slab_train_->append(std::span(place, length));
  return true;
}

// In a block of which a train is made at once: it goes back with its last train.
bool sender::find_room(std::size_t length) noexcept {
  if (slab_block_ && slab_block_->room() >= length) return true;
  slab_block* const fresh = slab_blocks_held_ < max_slab_blocks_per_conn ? pool_->take_block() : nullptr;
  if (!fresh) return false;
  ++slab_blocks_held_;
  slab_block_ = fresh;
  return true;
}

}  // namespace uring6::detail
