#include "net/send/sender.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "net/receive/receiver.hpp"
#include "sys/socket/socket.hpp"

namespace uring6::detail {
namespace {

constexpr std::size_t most_held = send_convoy::most;  // trains of one conn, of the pool's 512
constexpr std::size_t most_blocks = 8;                // of the slab's 64

// The next one goes elsewhere, so it would be a train by itself; and it is plain: nothing about it is to be told to the
// kernel, or to be refused.
bool goes_alone(const outgoing& message, const outgoing& next) noexcept {
  constexpr std::size_t fits_always = 65'535 - 20 - 8;  // IPv4
  return !(message.destination == next.destination) && tells_nothing(message.control) &&
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
    departed_.push_back(writer);
    writer.listen(stop);
    hurry();
    return true;
  }
  if (writer.messages_.empty()) return false;
  if (options_.coalesce) {
    // As a socket reports an ICMP error: what came later is not sent, so that whoever retries sends it once.
    if (late_error_) {
      writer.ended_ = take_error();
      return false;
    }
    if (writers_.empty() && fill_slab(writer)) {
      hurry();
      if (loop_.spend()) return false;
      make_ready(loop_, writer);
      return true;
    }
  }
  stop.prepare(loop_);
  writers_.push_back(writer);
  writer.listen(stop);
  hurry();
  return true;
}

void sender::settle(write_waiter& writer) noexcept {
  if (writer.in_flight_ > 0 || writer.next_ < writer.messages_.size()) return;
  if (writer.flushes_ && !writer.ended_) {
    if (has_unsent()) return;
    writer.ended_ = take_error();
  }
  static_cast<waiting_hook&>(writer).unlink();
  if (!static_cast<ready_node&>(writer).linked()) make_ready(loop_, writer);
}

void sender::account(const send_train::part& part, std::error_code error) noexcept {
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
  settle(writer);
}

void sender::withdraw(write_waiter& writer, std::error_code why) noexcept {
  if (!static_cast<waiting_hook&>(writer).linked()) return;  // it is over, and about to be resumed
  writer.ended_ = why;
  for (; writer.next_ < writer.messages_.size(); ++writer.next_) writer.messages_[writer.next_].error = why;
  static_cast<waiting_hook&>(writer).unlink();
  departed_.push_back(writer);
  ++writer.in_flight_;  // it must not settle half way
  unsent_.for_each([&](send_train& train) {
    for (send_train::part& each : train.parts()) {
      if (each.owner == &writer) {
        account(each, why);
        each = {};
      }
    }
  });
  flying_.for_each([&](send_train& train) {
    const auto parts = train.parts();
    if (std::ranges::any_of(parts, [&](const send_train::part& each) { return each.owner == &writer; })) {
      loop_.ring().cancel(train);
    }
  });
  --writer.in_flight_;
  settle(writer);
}

void sender::abandon(write_waiter& writer) noexcept {
  withdraw(writer, errc::canceled);
  loop_.drain_until([&] { return writer.in_flight_ == 0; });
}

void sender::fail_waiting(std::error_code why) noexcept {
  while (!writers_.empty()) withdraw(writers_.front(), why);
  departed_.for_each([&](write_waiter& each) {
    if (!each.ended_) withdraw(each, why);
  });
}

void sender::close(std::error_code why) noexcept {
  closing_ = why;
  do {
    flush();
    // What a route refuses goes again, which makes it fewer each time.
    loop_.drain_until([this] { return held_ == parked_ || !unsent_.empty(); });
    if (!unsent_.empty()) continue;
    fail_waiting(why);
    flying_.for_each([this](send_train& train) { loop_.ring().cancel(train); });
    loop_.drain_until([this] { return flying_.empty(); });
  } while (!unsent_.empty());
  outbound::unlink();
}

// --- trains ---

// A socket that does not drain must not hold what the others send with.
send_train* sender::take_train() noexcept {
  send_train* const train = held_ < most_held ? pool_->take_train(held_ == 0) : nullptr;  // of none: no memory
  if (!train) {
    // What it has does not all wait: some is back after the next enter. Who found the pool empty is first in line
    // then.
    if (held_ > parked_) held_ < most_held ? hurry() : loop_.expect_progress();
    return nullptr;
  }
  ++held_;
  train->owner = this;
  train->fd = fd_;
  return train;
}

void sender::give_back(send_train& train) noexcept {
  --held_;
  pool_->give_back(train);
}

// What need not be tried.
std::error_code sender::refusal_of(const outgoing& message, const endpoint& to) const noexcept {
  constexpr std::size_t longest_packet = 65'535;
  if (message.payload.size() > (options_.udp ? longest_payload(to.address) : longest_packet)) return errc::too_long;
  // The kernel would look for a route to ::ffff:0:0/96.
  if (!options_.udp && to.address.is_v4_mapped()) return make_error_code(std::errc::invalid_argument);
  // The kernel would send it without a look at the zone.
  if (to.address.zone() != 0 && !has_zones(to.address)) [[unlikely]]
    return check_zone(fd_, to.address).error();
  return {};
}

std::error_code sender::start(send_train& train, const endpoint& to, const outgoing& message, bool addressed) noexcept {
  if (const auto refused = refusal_of(message, to)) return refused;
  const std::size_t limit = refusing_.limit_towards(to.address, message.payload.size(), longest_train_);
  return train.begin(to, message.control, addressed, limit);
}

void sender::hurry() noexcept {
  loop_.flush_before_enter(*this);
}

void sender::depart(send_train& train) noexcept {
  if (train.datagrams() > 1) refusing_.train_departs(train.destination().address, train.segment());
  if (zero_copy_ && zero_copy_->takes(train)) [[unlikely]] {
    train.zero_copy = true;
    ++parked_;
  }
  if (flushing_) {
    launch(train);
  } else {
    departing_.push_back(train);
  }
}

void sender::launch(send_train& train) noexcept {
  if (gathers_ && train.datagrams() > 1 && refusing_.is_doubtful(train.destination().address, train.segment()) &&
      try_train(train)) [[unlikely]]
    return;
  if (gathers_) {
    // A connected socket tells an answer of the network once, and sendmmsg keeps it to itself behind others that went.
    if (train.quiet() && train.addressed()) return pool_->convoy().add(train);
    leave_together();  // none overtakes another
  }
  leave_by_ring(train);
}

void sender::leave_by_ring(send_train& train) noexcept {
  // A quiet operation ends without a completion to wake up for: somebody may wait for it, or the rest of the train.
  if (train.quiet() && (train.parts().front().owner || !departed_.empty() || train.refused > 0)) {
    loop_.expect_progress();
  }
  flying_.push_back(train);
  loop_.ring().queue(train);
}

// A few go by the ring, which the loop enters anyway unless it spins. So does the rest from the first one on for which
// the socket's buffer has no room, as the ring waits for that, or which a filter of system calls may have refused.
void sender::leave_together() noexcept {
  gathers_ = false;
  send_convoy& convoy = pool_->convoy();
  bool room = convoy.is_long() || loop_.spinner().helps();
  if (room) convoy.describe_trains();
  while (room && !convoy.empty()) {
    const int went = convoy.send(fd_);
    loop_.count_send();
    room = went != -EAGAIN && went != -EPERM && went != -ENOSYS;
    for (int left = room ? std::max(went, 1) : 0; left > 0; --left) arrive(convoy.take_first(), std::min(went, 0));
    go_on();
  }
  while (!convoy.empty()) {
    const auto [train, message, writer] = convoy.take_first();
    if (message) {
      train->begin(message->destination, message->control, true, 1);  // and that goes: there is nothing to encode
      train->append({message, 1}, true, *writer);
    }
    leave_by_ring(*train);
  }
}

void sender::arrive(const send_convoy::member& from, int outcome) noexcept {
  const auto [train, message, writer] = from;
  if (!message) return finished(*train, outcome);
  give_back(*train);
  if (outcome < 0) {
    if (outcome == -EMSGSIZE && path_mtu_reader_) path_mtu_reader_->look_again();
    account({nullptr, message, writer, 1, 0}, reason_of(outcome, message->destination));
    return;
  }
  ++counters_.datagrams;
  counters_.bytes += message->payload.size();
  ++writer->sent_;
  if (--writer->in_flight_ == 0) settle(*writer);
}

void sender::retire(send_train& train) noexcept {
  if (slab_block* const block = train.block; block && --block->trains == 0) {
    if (block == block_) block_ = nullptr;
    --blocks_;
    pool_->give_back(*block);
  }
  give_back(train);
  go_on();
}

// With what came back.
void sender::go_on() noexcept {
  if (!writers_.empty()) hurry();
  if (!has_unsent()) {
    departed_.for_each([this](write_waiter& each) { settle(each); });
  }
}

void sender::flush() noexcept {
  // What is on its way by the ring is not overtaken, and the child of a fork sends nothing.
  // sendmmsg would keep an error of the socket to itself that it met behind datagrams that went.
  gathers_ = flying_.empty() && !loop_.check_thread() && !error_reader_;
  flushing_ = true;
  while (!unsent_.empty()) {
    send_train& train = unsent_.pop_front();
    if (train.refused > 0 && gathers_ && pool_->convoy().empty()) leave_singly(train);
    if (train.is_over()) {
      retire(train);
    } else {
      train.reload();
      launch(train);
    }
  }
  while (!departing_.empty()) launch(departing_.pop_front());
  if (open_) depart(*std::exchange(open_, nullptr));
  if (options_.coalesce) {
    while (!writers_.empty() && fill_slab(writers_.front())) all_taken(writers_.front());
    if (open_) depart(*std::exchange(open_, nullptr));
  }
  build_trains();  // of one that writes ahead: what the slab has no room for
  refuse_impatient();
  leave_together();
  flushing_ = false;
}

// The datagrams of a train that was refused, one behind the other without the ring: by the ring one would go with each
// turn, and those of later trains in between. The rest goes by the ring from the first one on for which the socket's
// buffer has no room, or which a filter of system calls may have refused.
void sender::leave_singly(send_train& train) noexcept {
  while (!train.is_over()) {
    train.reload();
    msghdr header;
    train.describe(header);
    const int outcome = ::sendmsg(fd_, &header, MSG_DONTWAIT) < 0 ? -errno : 0;
    loop_.count_send();
    if (outcome == -EAGAIN || outcome == -EPERM || outcome == -ENOSYS) return;
    if (outcome == -EMSGSIZE && path_mtu_reader_) path_mtu_reader_->look_again();
    const std::error_code error = outcome < 0 ? reason_of(outcome, train.destination()) : std::error_code{};
    if (!error) refusing_.remember(train.destination().address, train.refused);
    account(train.take_first(), error);
  }
}

// A train that may be refused, before what comes behind it departs: without the ring it is known at once. False: it is
// to go another way.
bool sender::try_train(send_train& train) noexcept {
  if (!pool_->convoy().empty() || !train.quiet()) return false;
  msghdr header;
  train.describe(header);
  const int outcome = ::sendmsg(fd_, &header, MSG_DONTWAIT) < 0 ? -errno : 0;
  loop_.count_send();
  if (outcome == -EAGAIN || outcome == -EPERM || outcome == -ENOSYS) return false;
  finished(train, outcome);
  if (train.refused == 0 || !static_cast<train_hook&>(train).linked()) return true;
  leave_singly(train);
  if (train.is_over()) {
    static_cast<train_hook&>(train).unlink();
    retire(train);
  }
  return true;
}

void sender::all_taken(write_waiter& writer) noexcept {
  static_cast<waiting_hook&>(writer).unlink();
  departed_.push_back(writer);
  settle(writer);
}

// No train is left for who still waits, and none comes back until the socket drains: whoever would not wait for that is
// told.
void sender::refuse_impatient() noexcept {
  if (held_ > parked_) return;
  writers_.for_each([this](write_waiter& each) {
    if (each.impatient_) withdraw(each, make_error_code(std::errc::resource_unavailable_try_again));
  });
}

// Those at hand that go alone. The loop over a batch, as send_train::append is.
void sender::gather_alone(write_waiter& writer) noexcept {
  if (!gathers_ || zero_copy_ || !options_.udp || !writer.addressed_) return;
  send_convoy& convoy = pool_->convoy();
  const std::size_t end = writer.messages_.size();
  std::size_t at = writer.next_;
  for (outgoing* message = &writer.messages_[at]; at + 1 < end && goes_alone(message[0], message[1]); ++message) {
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
  while (!writers_.empty()) {
    write_waiter& writer = writers_.front();
    if (writer.next_ == writer.messages_.size()) {
      all_taken(writer);
      continue;
    }
    if (!train && writer.messages_.size() - writer.next_ > 1) gather_alone(writer);
    const auto rest = writer.messages_.subspan(writer.next_);
    if (!train) {
      train = take_train();
      if (!train && held_ > 0) return;  // it comes again when one is free
      if (!train) {
        // No train comes back that could take it along later.
        withdraw(writer, make_error_code(std::errc::not_enough_memory));
        continue;
      }
      outgoing& message = rest.front();
      if (const auto error = start(*train, destination_of(message, writer.addressed_), message, writer.addressed_)) {
        give_back(*std::exchange(train, nullptr));
        ++writer.next_;
        ++writer.in_flight_;
        account({nullptr, &message, &writer, 1, 0}, error);
        continue;
      }
    }
    const std::size_t aboard = train->append(rest, writer.addressed_, writer);
    writer.next_ += aboard;
    writer.in_flight_ += aboard;
    if (aboard < rest.size()) depart(*std::exchange(train, nullptr));
  }
  if (train) depart(*train);
}

// --- writing ahead ---

// Copies the writer's datagrams into the slab. False: the slab is full, or no train is free. The writer is suspended,
// and the rest goes out of its own memory.
bool sender::fill_slab(write_waiter& writer) noexcept {
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
  error = refusal_of(message, to);
  if (error) return true;
  if (!open_ || block_->room() < length || !open_->accepts(message.payload, to, message.control)) {
    if (open_) depart(*std::exchange(open_, nullptr));
    send_train* const train = take_train();
    if (!train) return false;
    error = start(*train, to, message, addressed);
    if (error || !find_room(length)) {
      give_back(*train);
      return static_cast<bool>(error);
    }
    train->block = block_;
    ++block_->trains;
    open_ = train;
  }
  std::byte* const place = block_->memory.get() + block_->used;
  if (length > 0) std::memcpy(place, message.payload.data(), length);
  block_->used += length;
  open_->append(std::span(place, length));
  return true;
}

// In a block of which a train is made at once: it goes back with its last train.
bool sender::find_room(std::size_t length) noexcept {
  if (block_ && block_->room() >= length) return true;
  slab_block* const fresh = blocks_ < most_blocks ? pool_->take_block() : nullptr;
  if (!fresh) return false;
  ++blocks_;
  block_ = fresh;
  return true;
}

}  // namespace uring6::detail
