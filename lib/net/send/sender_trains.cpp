// Which train takes a message: a train stays open for its destination while messages to other destinations come, so
// that datagrams which go to many destinations in turn leave as a train for each.
#include <cassert>
#include <utility>

#include "net/send/sender.hpp"

namespace uring6::inline v0::detail {
namespace {

// Can the message be sent without a train? It must be a train of one, because the next message has another destination,
// and need neither control bytes nor the checks of `check_message`.
bool is_plain_single(const write_slot& message, const write_slot& next) noexcept {
  return !(message.destination == next.destination) && is_empty_for_send(message.control) &&
         message.payload.size() <= longest_ipv4_payload && message.destination.address.zone() == 0;
}

}  // namespace

// find_filling by a search; begins the train if it only holds a message.
[[gnu::noinline]] send_train* sender::search_filling(const endpoint& to) noexcept {
  send_train* const found = pool_->filling().find(*this, to);
  if (!found) return nullptr;
  if (found->single) begin_held(*found);
  return last_found_ = found;
}

// Appends messages to the trains that were kept open for their destinations, up to the first message that has no such
// train or does not join it, and returns how many. `offer` becomes the train to which the next message is offered;
// nullptr: it needs a new one. This is the hot loop over a batch to many destinations, as send_train::append is for one
// destination.
std::size_t sender::append_in_turn(std::span<write_slot> messages, write_waiter& from, send_train*& offer) noexcept {
  std::size_t at = 0;
  for (; at < messages.size(); ++at) {
    write_slot& message = messages[at];
    offer = find_filling(message.destination);
    if (!offer || !offer->append_one(message, from)) return at;
    const bool is_run = at + 1 < messages.size() && messages[at + 1].destination == message.destination;
    if (is_run) return at + 1;
  }
  offer = nullptr;  // the next writer's message is searched for
  return at;
}

void sender::keep_filling(send_train& train) noexcept {
  if (static_cast<train_hook&>(train).linked()) return;
  pool_->filling().add(train);
  filling_trains_.push_back(train);
}

// The next message does not join the train that took the last one. The train stays open if the message goes to another
// destination (`addressed`: messages name theirs).
void sender::leave(send_train& train, const endpoint& next_destination, bool addressed) noexcept {
  if (addressed && train.is_open() && !(next_destination == train.destination())) {
    keep_filling(train);
  } else {
    seal(train);
  }
}

// Seals the oldest of the trains that were kept open.
void sender::seal_filling_trains(std::size_t at_most) noexcept {
  for (; at_most > 0 && !filling_trains_.empty(); --at_most) seal(filling_trains_.front());
}

// Seals the trains that were kept open, and the one that took the last message.
void sender::seal_all_filling(send_train* last_used) noexcept {
  const bool was_kept = last_used && static_cast<train_hook&>(*last_used).linked();
  seal_filling_trains(max_trains_per_conn);
  if (last_used && !was_kept) seal(*last_used);
}

// No train is free: the older half of those that were kept open leave at once. True if trains came back.
bool sender::make_room() noexcept {
  constexpr std::size_t older_half = max_trains_per_conn / 2;
  if (flush_ != flushing::with_convoy || filling_trains_.empty()) return false;
  seal_filling_trains(older_half);
  if (flush_ == flushing::with_convoy) submit_convoy();
  // What waits in the ring, or to be sent again, leaves before anything that was written later.
  if (!trains_in_flight_.empty() || !trains_to_resend_.empty()) return false;
  flush_ = flushing::with_convoy;
  return true;
}

// Keeps a message that may be sent from where it lies until a second one to its destination joins it, or until it
// leaves. Precondition: the batch has a next message. False: this one needs a train, or none is free.
bool sender::hold_single(write_waiter& writer) noexcept {
  if (flush_ != flushing::with_convoy || zero_copy_ || !udp_ || !writer.addressed_) return false;
  write_slot* const message = &writer.messages_[writer.next_];
  if (!is_plain_single(message[0], message[1])) return false;
  send_train* const reserve = take_train();
  if (!reserve) return false;
  if (message->error) message->error.clear();
  ++writer.next_;
  ++writer.in_flight_;
  if (longest_train_ == 1) {
    pool_->convoy().add(*message, writer, *reserve);
  } else {
    reserve->hold(*message, writer);
    keep_filling(*reserve);
  }
  return true;
}

// A second message joins the one that the train holds.
void sender::begin_held(send_train& train) noexcept {
  write_slot& message = *train.single;
  write_waiter& writer = *train.single_of;
  [[maybe_unused]] const auto refused = begin_train(train, message.destination, message, true);
  assert(!refused && "hold_single keeps no message that begin_train refuses");
  train.append({&message, 1}, true, writer);
}

// The message that the train holds has stayed alone.
void sender::submit_single(send_train& train) noexcept {
  write_slot& message = *std::exchange(train.single, nullptr);
  if (flush_ == flushing::with_convoy) return pool_->convoy().add(message, *train.single_of, train);
  load_single(train, message, *train.single_of);
  submit_by_ring(train);
}

void sender::load_single(send_train& train, write_slot& message, write_waiter& writer) noexcept {
  assert(is_empty_for_send(message.control) && "with control bytes `begin` might fail");
  train.begin(message.destination, message.control, true, 1);
  train.append({&message, 1}, true, writer);
}

void sender::build_trains() noexcept {
  send_train* train = nullptr;  // took the last message, and may take the next one
  while (!queued_writers_.empty()) {
    write_waiter& writer = queued_writers_.front();
    if (writer.next_ == writer.messages_.size()) {
      await_results(writer);
      continue;
    }
    const auto rest = writer.messages_.subspan(writer.next_);
    write_slot& message = rest.front();
    if (message.segment > 0) [[unlikely]] {
      if (!build_cut(writer, train)) break;
      continue;
    }
    const endpoint& to = destination_of(message, writer.addressed_);
    if (!train && !filling_trains_.empty()) {
      const std::size_t appended = append_in_turn(rest, writer, train);
      writer.next_ += appended;
      writer.in_flight_ += appended;
      if (appended > 0) continue;
    }
    if (!train) {
      if (rest.size() > 1 && hold_single(writer)) continue;
      train = take_train();
      if (!train && make_room()) continue;
      if (!train && trains_held_ > 0) break;  // serve_writers schedules the next flush when a train comes back
      if (!train) {
        // No memory for a train, and this conn holds none: no return of a train could start the next try.
        cancel(writer, make_error_code(std::errc::not_enough_memory));
        continue;
      }
      if (const auto error = begin_train(*train, to, message, writer.addressed_)) {
        give_back(*std::exchange(train, nullptr));
        ++writer.next_;
        ++writer.in_flight_;
        record({nullptr, &message, &writer, 1, 0}, error, to);
        continue;
      }
    }
    const std::size_t appended = train->append(rest, writer.addressed_, writer);
    assert(appended <= rest.size());
    writer.next_ += appended;
    writer.in_flight_ += appended;
    if (appended < rest.size()) {
      leave(*std::exchange(train, nullptr), destination_of(rest[appended], writer.addressed_), writer.addressed_);
    }
  }
  if (!filling_trains_.empty()) [[unlikely]]
    return seal_all_filling(train);
  if (train) seal(*train);
}

}  // namespace uring6::inline v0::detail
