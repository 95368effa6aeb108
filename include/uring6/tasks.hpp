// tasks: what a loop's tasks are doing, as values, as a tree and as JSON.
#pragma once

#include "uring6/version.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <source_location>
#include <span>
#include <string>
#include <string_view>

#include "uring6/address.hpp"
#include "uring6/export.hpp"
#include "uring6/result.hpp"
#include "uring6/task.hpp"

namespace uring6::inline v0 {

class event_loop;

enum class task_state : std::uint8_t {
  running,  ///< It called `event_loop::tasks`, or waits for a function that did.
  ready,    ///< It has not begun, or what it waited for is over: the loop resumes it in its next turn.
  waiting,  ///< It waits for `task_info::operation`.
};

/// "running", "ready", "waiting"; the number of another value.
URING6_EXPORT std::string to_string(task_state state);

/// A live task of a loop: what `run`, `scope::spawn`, `when_all`, `when_any`, `with_timeout`, `with_stop`, `shield` and
/// a sender (uring6/stdexec.hpp) have begun. The coroutines that it awaits belong to it (`depth`). What a coroutine of
/// another library awaits by `with_environment` is not listed.
struct task_info {
  /// Differs among the tasks that live at one time, and stays the same while a task lives. Never 0.
  std::uint64_t id = 0;
  /// The task that waits for this one's end or, of a scope that is not joined yet, the one that holds the scope. 0 if
  /// there is none: the main task of a run, a sender's work, a scope that belongs to no task.
  std::uint64_t parent = 0;
  /// What began it: "run", "scope", "sender", or the parent's operation: "when_all", "when_any", "select",
  /// "with_timeout", "with_stop", "shield". Static storage duration.
  std::string_view origin{};
  /// The call of `run` or `scope::spawn`; line 0 of others.
  std::source_location spawned{};
  task_state state = task_state::waiting;
  /// The coroutines of the task that wait for each other. 0: it has not begun, or is an operation, such as
  /// `pc.read_from(buffer)` in a `when_any`.
  std::size_t depth = 0;
  /// What the innermost coroutine waits for: "read_from", "sleep", "scope::join", ...; the type of an awaitable of
  /// another library. Empty of a task that has not begun, or runs. Static storage duration.
  std::string_view operation{};
  /// The descriptor of the operation's conn, listener or file; -1: none, or none yet.
  int descriptor = -1;
  /// The addresses of that descriptor's socket. An AF_INET socket's are v4-mapped.
  std::optional<endpoint> local{};
  std::optional<endpoint> peer{};
  /// When a sleep ends, by the loop's clock.
  std::optional<std::chrono::steady_clock::time_point> until{};
  /// A stop was requested of the task, and it has not ended yet.
  bool stop_requested = false;
  /// Where the code of the innermost coroutine begins, for `addr2line -f -e program` or gdb's `info symbol`; nullptr
  /// for a coroutine that has reached its end.
  const void* code = nullptr;
};

/// One line: "scope service.cpp:31: waits for read_from, fd 7 [::]:1024".
URING6_EXPORT std::string to_string(const task_info& task);

/// The tasks as a tree of lines, each child below its parent and indented by two spaces more:
///
///     run service.cpp:40: waits for scope::join
///       scope service.cpp:31: waits for read_from, fd 7 [::]:1024
///       scope service.cpp:32: waits for sleep
///
/// A task whose parent is not among `tasks` begins a tree. "no tasks\n" of none.
URING6_EXPORT std::string to_string(std::span<const task_info> tasks);

/// A JSON array of one object for each task, on one line. `id`, `parent` and `code` are strings of hexadecimal digits,
/// because JSON's numbers are not exact beyond 2^53. Members that say nothing (`parent` of none, no descriptor) are
/// left out. `until_ns` is in nanoseconds of the loop's clock.
URING6_EXPORT std::string to_json(std::span<const task_info> tasks);

/// Writes the tree of the running loop's tasks to `descriptor` each time that the process gets `signal`; spawn it in a
/// scope: `tasks.spawn(dump_on(SIGUSR1), [](result<void>) {})`. It ends with the error of a stop (`errc::canceled`), or
/// those of `signals::open`: `errc::out_of_range` for a signal that cannot be awaited. What `signals` says of threads
/// and of pending signals holds here: block the signal in the other threads.
///
/// The loop writes in one of its turns, not in a signal handler. So a dump is whole while tasks begin and end, and a
/// loop that hangs in the program's own code writes nothing: the gdb script shows its tasks (docs/guide/debugging.md).
///
/// `descriptor` should be a file, a terminal, or a pipe that is read: the write blocks the loop. Errors of the write
/// are ignored. Throws std::bad_alloc.
[[nodiscard("spawn it")]] URING6_EXPORT task<result<void>> dump_on(int signal, int descriptor = 2);

}  // namespace uring6::inline v0
