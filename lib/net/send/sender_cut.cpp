// Messages that are cut into datagrams (write_slot::segment): each is a train of its own, or several, out of the memory
// where it lies.
#include <cassert>
#include <utility>

#include "net/send/sender.hpp"

namespace uring6::inline v0::detail {

// Takes a train. If none is free, the convoy leaves first, whose trains come back at once.
send_train* sender::take_train_or_send() noexcept {
  if (send_train* const train = take_train()) return train;
  if (flush_ != flushing::with_convoy || pool_->convoy().empty()) return nullptr;
  submit_convoy();
  // What waits in the ring, or to be sent again, leaves before anything that was written later.
  if (!trains_in_flight_.empty() || !trains_to_resend_.empty()) return nullptr;
  flush_ = flushing::with_convoy;
  return take_train();
}

// The rest of the writer's next message is not sent.
void sender::refuse_cut(write_waiter& writer, std::error_code why) noexcept {
  write_slot& message = writer.messages_[writer.next_++];
  const auto left = static_cast<std::uint32_t>(datagrams_of(message, std::exchange(writer.taken_, 0)));
  writer.in_flight_ += left;
  record({nullptr, &message, &writer, left, 0, 0}, why, destination_of(message, writer.addressed_));
}

// Puts the writer's next message into trains. `open`: the train that took the message before it, if any. False: no
// train is free, and the rest of the message waits for the next flush.
bool sender::build_cut(write_waiter& writer, send_train*& open) noexcept {
  write_slot& message = writer.messages_[writer.next_];
  assert(message.segment > 0 && writer.taken_ <= message.payload.size());
  const endpoint& to = destination_of(message, writer.addressed_);
  // No further message joins what was written to this destination before, which leaves first.
  if (open) leave(*std::exchange(open, nullptr), to, writer.addressed_);
  if (!filling_trains_.empty()) {
    if (send_train* const earlier = pool_->filling().find(*this, to)) seal(*earlier);
  }
  if (writer.taken_ == 0) message.error.clear();
  for (bool is_last = false; !is_last;) {
    send_train* const train = take_train_or_send();
    if (!train) {
      if (trains_held_ > 0) return false;
      // As in build_trains: no return of a train could start the next try.
      cancel(writer, make_error_code(std::errc::not_enough_memory));
      return true;
    }
    if (const auto error = begin_train(*train, to, message, writer.addressed_)) {
      give_back(*train);
      refuse_cut(writer, error);
      return true;
    }
    writer.taken_ += train->append_cut(message, message.payload.subspan(writer.taken_), writer);
    writer.in_flight_ += train->datagrams();
    is_last = writer.taken_ == message.payload.size();
    if (is_last) {
      writer.taken_ = 0;
      ++writer.next_;
    }
    seal(*train);  // the writer may be over behind this
  }
  return true;
}

}  // namespace uring6::inline v0::detail
