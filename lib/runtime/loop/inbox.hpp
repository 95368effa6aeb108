// The only way from other threads into a loop: a lock-free stack. Any thread pushes; the loop takes all messages at
// once.
#pragma once

#include <atomic>
#include <cassert>
#include <memory>

namespace uring6::inline v0::detail {

/// A message to the loop. It runs on the loop's thread, unless the loop ends first.
struct inbox_message {
  virtual ~inbox_message() = default;
  virtual void run() noexcept = 0;
  inbox_message* next = nullptr;
  /// True: the inbox owns the message, and deletes it after `run`, or without `run` if the loop ends first. False:
  /// another object owns it, keeps it alive until then, and may push it again from inside `run`.
  bool owned = true;
};

class inbox {
 public:
  inbox() = default;
  inbox(const inbox&) = delete;
  inbox& operator=(const inbox&) = delete;
  ~inbox() { close(); }

  /// Queues a message. Any thread. False: the inbox is closed, and the message is destroyed without `run`.
  bool push(std::unique_ptr<inbox_message> message) noexcept {
    assert(message->owned);
    if (!push(*message)) return false;
    message.release();
    return true;
  }

  /// The same for a message with `owned` false, which must not be in an inbox already. False: it will not run.
  bool push(inbox_message& message) noexcept {
    inbox_message* head = head_.load(std::memory_order_relaxed);
    do {
      if (head == closed()) return false;
      message.next = head;
      // Sequentially consistent, like `empty`, which the loop calls after it has stored that it sleeps: either the loop
      // sees the message, or this thread sees that the loop sleeps.
    } while (!head_.compare_exchange_weak(head, &message, std::memory_order_seq_cst, std::memory_order_relaxed));
    return true;
  }

  /// No message runs after this. Owned messages that are queued, or pushed later, are destroyed.
  void close() noexcept { discard(take(closed())); }

  bool empty() const noexcept { return head_.load(std::memory_order_seq_cst) == nullptr; }

  /// Runs the queued messages in the order of their arrival. Returns how many. The loop's thread.
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
  // The mark of a closed inbox: the address of this object, which no message can have.
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

}  // namespace uring6::inline v0::detail
