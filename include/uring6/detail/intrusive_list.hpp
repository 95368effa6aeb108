// A doubly linked list with its links inside of the elements. Joining, leaving and moving allocate nothing, and an
// element that is destroyed can leave the list that holds it.
#pragma once

#include <cassert>

namespace uring6::inline v0::detail {

struct list_hook {
  list_hook() = default;
  /// For an object that is moved before it is used. Precondition (asserted): `from` is in no list.
  list_hook([[maybe_unused]] list_hook&& from) noexcept { assert(!from.linked() && "an element of a list was moved"); }
  list_hook& operator=(const list_hook&) = delete;

  bool linked() const noexcept { return next != nullptr; }

  void unlink() noexcept {
    if (!next) return;
    prev->next = next;
    next->prev = prev;
    prev = next = nullptr;
  }

  list_hook* prev = nullptr;
  list_hook* next = nullptr;
};

/// T derives from Hook. Hook is list_hook; if T is in two lists at once, Hook is a class derived from list_hook, one
/// for each list. The list never owns its elements.
template <class T, class Hook = list_hook>
class intrusive_list {
 public:
  intrusive_list() noexcept { reset(); }
  intrusive_list(const intrusive_list&) = delete;
  intrusive_list& operator=(const intrusive_list&) = delete;
  ~intrusive_list() {
    while (!empty()) head_.next->unlink();
  }

  bool empty() const noexcept { return head_.next == &head_; }
  /// Precondition (asserted): the list is not empty.
  T& front() noexcept {
    assert(!empty());
    return element(*head_.next);
  }
  const T& front() const noexcept { return const_cast<intrusive_list*>(this)->front(); }

  /// For a loop by hand: from first() along `next` until is_end().
  list_hook* first() const noexcept { return head_.next; }
  bool is_end(const list_hook* at) const noexcept { return at == &head_; }

  /// Precondition of both (asserted): the element is in no list by this hook.
  void push_back(T& element) noexcept { insert(*head_.prev, static_cast<Hook&>(element)); }
  void push_front(T& element) noexcept { insert(head_, static_cast<Hook&>(element)); }

  /// Precondition (asserted): the list is not empty.
  T& pop_front() noexcept {
    assert(!empty());
    T& first = front();
    static_cast<Hook&>(first).unlink();
    return first;
  }

  /// Removes all elements before `end`. A release build does not touch them: their links are stale until they join a
  /// list. A build with assertions clears the links, so that `insert` can tell a linked element.
  void cut_front(list_hook& end) noexcept {
#ifndef NDEBUG
    for (list_hook* at = head_.next; at != &end;) {
      list_hook* const after = at->next;
      at->prev = at->next = nullptr;
      at = after;
    }
#endif
    head_.next = &end;
    end.prev = &head_;
  }

  /// Moves all elements of `other`, in their order, to the back of this list.
  void splice_back(intrusive_list& other) noexcept {
    splice(*head_.prev, other, other.head_);
  }

  /// Moves only the elements of `other` before `end`, an element that a loop by hand has reached.
  void splice_back(intrusive_list& other, list_hook& end) noexcept {
    splice(*head_.prev, other, end);
  }

  /// Moves all elements of `other`, in their order, to the front of this list.
  void splice_front(intrusive_list& other) noexcept {
    splice(head_, other, other.head_);
  }

  /// Calls f for each element. f may unlink the element that it is given, and no other.
  template <class F>
  void for_each(F&& f) {
    for (list_hook* at = head_.next; at != &head_;) {
      list_hook* after = at->next;
      f(element(*at));
      at = after;
    }
  }

  /// The same of a list that f leaves as it is.
  template <class F>
  void for_each(F&& f) const {
    for (list_hook* at = head_.next; at != &head_; at = at->next) f(static_cast<const T&>(element(*at)));
  }

 private:
  void reset() noexcept {
    head_.prev = head_.next = &head_;
  }

  static void splice(list_hook& before, intrusive_list& other, list_hook& end) noexcept {
    list_hook* const first = other.head_.next;
    if (first == &end) return;
    list_hook* const last = end.prev;
    other.head_.next = &end;
    end.prev = &other.head_;
    first->prev = &before;
    last->next = before.next;
    before.next->prev = last;
    before.next = first;
  }

  static T& element(list_hook& hook) noexcept {
    return static_cast<T&>(static_cast<Hook&>(hook));
  }

  static void insert(list_hook& before, list_hook& hook) noexcept {
    assert(!hook.linked() && "the element is in a list already");
    hook.prev = &before;
    hook.next = before.next;
    before.next->prev = &hook;
    before.next = &hook;
  }

  list_hook head_;
};

}  // namespace uring6::inline v0::detail
