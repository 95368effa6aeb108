// What a coroutine waits for: a note in its promise, which event_loop::tasks and a debugger read. Only a coroutine that
// is suspended writes it, so an operation that is over at once costs nothing.
#pragma once

#include <source_location>
#include <string_view>

#include "uring6/detail/intrusive_list.hpp"
#include "uring6/detail/waiting.hpp"
#include "uring6/export.hpp"

// The destructors of the bases are protected, so no object is deleted through a base; GCC warns nevertheless, because
// the bases have friends.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"

namespace uring6::inline v0 {

namespace detail {

class child_promise;
class promise_base;
class task_root;

/// Gets what a waiting operation tells of itself.
class URING6_EXPORT wait_listing {
 public:
  virtual void descriptor(int fd) = 0;
  virtual void until(clock::time_point deadline) = 0;
  /// The operation is over: the loop resumes the coroutine in its next turn.
  virtual void ready() = 0;
  virtual void awaits(const promise_base& task) = 0;
  virtual void child(const child_promise& which) = 0;
  /// The coroutine waits for the tasks of `scope`.
  virtual void joins(const task_root& scope) = 0;
  /// Of a root: a task that is no child.
  virtual void task(const promise_base& which, std::string_view origin, const std::source_location& spawned) = 0;

  void ready_if(bool over) {
    if (over) ready();
  }

 protected:
  ~wait_listing() = default;
};

/// What has begun tasks of a loop and is no operation of one of them: a run, a scope, a guest. The loop knows them.
class URING6_EXPORT task_root : list_hook {
 public:
  virtual void list_tasks(wait_listing& to) const = 0;

 protected:
  task_root() = default;
  ~task_root() { unlink(); }

  /// On the loop's thread.
  URING6_HIDDEN void enter_list(loop_core& loop) noexcept;
  bool is_listed() const noexcept { return linked(); }
  void leave_list() noexcept { unlink(); }

 private:
  friend class intrusive_list<task_root>;
};

/// One for each type of awaiter, with static storage duration.
struct wait_kind {
  std::string_view operation;
  void (*tell)(const void* awaiter, wait_listing& to);  // nullptr: an awaiter of another library
};

/// An operation of uring6: it has a name, and resumes its coroutine only in a later turn of the loop or at the end of a
/// child, so that the promise may be written after its await_suspend. `wait_name` is a word for the program's reader.
template <class Awaiter>
concept tells_its_wait = requires(const Awaiter& awaiter, wait_listing& to) {
  Awaiter::wait_name;
  awaiter.tell_wait(to);
};

/// An awaiter that awaits another one has it tell.
template <class Awaiter>
constexpr auto& teller_of(Awaiter& awaiter) noexcept {
  if constexpr (requires { awaiter.teller(); }) {
    return awaiter.teller();
  } else {
    return awaiter;
  }
}

/// The name of a type, as the compiler writes it: "other::timer_awaiter".
template <class T>
constexpr std::string_view type_name() noexcept {
  // GCC: "... type_name() [with T = X; std::string_view = ...]"; clang: "... type_name() [T = X]".
  const std::string_view whole = __PRETTY_FUNCTION__;
  const std::string_view from = whole.substr(whole.find("T = ") + 4);
  return from.substr(0, from.find_first_of(";]"));
}

template <class Awaiter>
constexpr wait_kind make_wait_kind() noexcept {
  if constexpr (tells_its_wait<Awaiter>) {
    return {Awaiter::wait_name,
            [](const void* awaiter, wait_listing& to) { static_cast<const Awaiter*>(awaiter)->tell_wait(to); }};
  } else {
    return {type_name<Awaiter>(), nullptr};
  }
}

template <class Awaiter>
inline constexpr wait_kind wait_kind_of = make_wait_kind<Awaiter>();

/// The wait for a task: a debugger reads it without knowing the type of the task's value.
struct task_wait {
  const promise_base* awaited = nullptr;
  promise_base* waiting = nullptr;  // nullptr: the coroutine was not suspended, or is of another library
};

}  // namespace detail
}  // namespace uring6::inline v0

#pragma GCC diagnostic pop
