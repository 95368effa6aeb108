// The only door from other threads into a loop: a stack that anybody may push to and the loop takes whole.
#pragma once

#include <atomic>
#include <memory>

namespace uring6::detail {

/// A message to the loop. It runs on the loop's thread, or is destroyed unrun if the loop ends first.
struct inbox_message {
  virtual ~inbox_message() = default;
  virtual void run() noexcept = 0;
  inbox_message* next = nullptr;
};

class inbox {
 public:
  inbox() = default;
  inbox(const inbox&) = delete;
  inbox& operator=(const inbox&) = delete;
  ~inbox() { discard(take()); }

  /// Returns true if the inbox was empty: then the loop may be asleep and must be woken.
  bool push(std::unique_ptr<inbox_message> message) noexcept {
    inbox_message* node = message.release();
    inbox_message* head = head_.load(std::memory_order_relaxed);
    do {
      node->next = head;
      // Sequentially consistent, as the loop's look before it sleeps: one of the two sees the other.
    } while (!head_.compare_exchange_weak(head, node, std::memory_order_seq_cst, std::memory_order_relaxed));
    return head == nullptr;
  }

  bool empty() const noexcept { return head_.load(std::memory_order_seq_cst) == nullptr; }

  /// Runs what has arrived, in the order of arrival.
  unsigned run() noexcept {
    if (empty()) return 0;
    unsigned count = 0;
    for (inbox_message* at = take(); at; ++count) {
      const std::unique_ptr<inbox_message> message(at);
      at = at->next;
      message->run();
    }
    return count;
  }

 private:
  inbox_message* take() noexcept {
    inbox_message* reversed = nullptr;
    for (inbox_message* at = head_.exchange(nullptr, std::memory_order_acq_rel); at;) {
      inbox_message* next = at->next;
      at->next = reversed;
      reversed = at;
      at = next;
    }
    return reversed;
  }

  static void discard(inbox_message* at) noexcept {
    while (at) {
      const std::unique_ptr<inbox_message> message(at);
      at = at->next;
    }
  }

  std::atomic<inbox_message*> head_{nullptr};
};

}  // namespace uring6::detail
