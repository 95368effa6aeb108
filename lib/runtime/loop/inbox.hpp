// The only door from other threads into a loop: a stack that anybody may push to and the loop takes whole.
#pragma once

#include <atomic>
#include <cassert>
#include <memory>

namespace uring6::detail {

/// A message to the loop. It runs on the loop's thread, unless the loop ends first.
struct inbox_message {
  virtual ~inbox_message() = default;
  virtual void run() noexcept = 0;
  inbox_message* next = nullptr;
  /// The inbox owns it, and deletes it when it has run, or unrun if the loop ends first. Else its owner keeps it until
  /// then, and may push it again from inside of `run`.
  bool owned = true;
};

class inbox {
 public:
  inbox() = default;
  inbox(const inbox&) = delete;
  inbox& operator=(const inbox&) = delete;
  ~inbox() { close(); }

  /// False if the inbox is closed: the message is destroyed unrun.
  bool push(std::unique_ptr<inbox_message> message) noexcept {
    assert(message->owned);
    if (!push(*message)) return false;
    message.release();
    return true;
  }

  /// The same for a message that its owner keeps, and that is in no inbox. False: it never runs.
  bool push(inbox_message& message) noexcept {
    inbox_message* head = head_.load(std::memory_order_relaxed);
    do {
      if (head == closed()) return false;
      message.next = head;
      // Sequentially consistent, as the loop's look before it sleeps: one of the two sees the other.
    } while (!head_.compare_exchange_weak(head, &message, std::memory_order_seq_cst, std::memory_order_relaxed));
    return true;
  }

  /// Nothing is run any more: what the inbox owns, of what has arrived and what arrives from now on, is destroyed.
  void close() noexcept { discard(take(closed())); }

  bool empty() const noexcept { return head_.load(std::memory_order_seq_cst) == nullptr; }

  /// Runs what has arrived, in the order of arrival.
  unsigned run() noexcept {
    if (empty() || head_.load(std::memory_order_relaxed) == closed()) return 0;
    unsigned count = 0;
    for (inbox_message* at = take(nullptr); at; ++count) {
      inbox_message& message = *at;
      at = at->next;
      const bool owned = message.owned;
      message.run();
      if (owned) delete &message;
    }
    return count;
  }

 private:
  // No message's address: this object is there.
  inbox_message* closed() noexcept { return reinterpret_cast<inbox_message*>(this); }

  inbox_message* take(inbox_message* leave) noexcept {
    inbox_message* reversed = nullptr;
    inbox_message* at = head_.exchange(leave, std::memory_order_acq_rel);
    if (at == closed()) at = nullptr;
    while (at) {
      inbox_message* next = at->next;
      at->next = reversed;
      reversed = at;
      at = next;
    }
    return reversed;
  }

  static void discard(inbox_message* at) noexcept {
    while (at) {
      inbox_message* const message = at;
      at = at->next;
      if (message->owned) delete message;
    }
  }

  std::atomic<inbox_message*> head_{nullptr};
};

}  // namespace uring6::detail
