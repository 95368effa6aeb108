// event_loop: one thread, one ring, any number of tasks.
#pragma once

#include "uring6/version.hpp"

#include <array>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <type_traits>
#include <utility>

#include "uring6/detail/waiting.hpp"
#include "uring6/export.hpp"
#include "uring6/result.hpp"
#include "uring6/stats.hpp"
#include "uring6/task.hpp"

namespace uring6 {

/// What a loop is made of. The defaults suit a busy UDP service.
struct loop_options {
  /// Entries of the submission queue: operations handed over per system call. 1 to 32,768.
  unsigned submission_entries = 256;
  /// Entries of the completion queue, 1 to 65,536, at least as many as of the submission queue. More than the receive
  /// buffers plus the operations in flight means that it cannot overflow; if it does, nothing is lost, but it costs
  /// time.
  unsigned completion_entries = 4096;
  /// Receive buffers of the loop, shared by all its conns. A power of two, 2 to 32,768. They are used last in, first
  /// out: memory is touched only as far as buffers are needed at once (lent, or waiting for their readers).
  unsigned receive_buffers = 256;
  /// Octets that each of the loop's two pools of receive buffers may take beyond its buffers: while a conn that has a
  /// reader finds no buffer, the datagrams of conns whose readers are away are copied out of the pool. Beyond the limit
  /// such datagrams are thrown away, as a full socket does it, and counted (`packet_stats::discarded`,
  /// `pool_stats::not_moved_out`). 0: none is copied.
  std::size_t moved_out_limit = std::size_t{16} << 20;
  /// How many operations may complete without suspension, and how many coroutines be resumed, before the loop
  /// looks at the kernel and at the other coroutines again. At least 1.
  unsigned budget = 512;
  /// How long to look for news before going to sleep, at most 10 s. 0: sleep at once. Worth its processor time where a
  /// wake-up costs more than the wait (virtual machines, request-response at low latency). It adapts: where four spins
  /// in a row were in vain, only one wait in eight spins, until one finds something again. A spin asks up to four
  /// sockets that datagrams come to one by one, each by a system call without the ring (MSG_DONTWAIT), if there are
  /// more than 64 `receive_buffers`.
  std::chrono::microseconds spin{0};
  /// How long a sleep lets completions gather, at most 1 s: a loop with nothing to do sleeps at least that long unless
  /// 32 sockets are ready, then takes all that is there with one system call; if nothing is, it wakes for the first
  /// completion. So a datagram that ends a longer silence is not delayed, those of a stream by at most so long, and
  /// posts from other threads likewise; timers are on time. 0: wake for the first completion. A spin that finds
  /// something goes before. Without effect before Linux 6.12, as `probe` says. IORING_ENTER_EXT_ARG's min_wait_usec.
  std::chrono::microseconds min_wait{0};
  /// How long the kernel may poll the devices of the loop's sockets before it sleeps, at most 1 s: a lower latency for
  /// processor time, on network cards with NAPI; nothing on lo. 0: no polling. Without effect where the kernel refuses
  /// it (before Linux 6.9), as `probe` says. IORING_REGISTER_NAPI, preferring busy poll.
  std::chrono::microseconds busy_poll{0};
};

/// Runs tasks on the thread that calls `run`. A loop and everything made with it belong to that thread; only
/// `post`, `stop` and std::stop_source reach it from others. Made on one thread, it may be run on another, as
/// long as it is always the same one; destroy it there, or when that thread has ended (on another one while it lives,
/// the program ends with a message that says so).
///
/// Conns may outlive their loop: they are closed then. The child of a fork must not use the loop. One that was moved
/// from answers `errc::closed`, and drops what is posted to it.
class URING6_EXPORT event_loop {
 public:
  /// Throws std::system_error whose text says what is missing (kernel, sysctl, seccomp, memlock or descriptors) and
  /// what to do about it. Codes: those of io_uring_setup (EPERM, ENOSYS, ENOMEM, EMFILE); EPERM, EACCES or ENOSYS where
  /// a sandbox allows io_uring_setup and refuses io_uring_enter, io_uring_register or eventfd2; EOPNOTSUPP on a kernel
  /// before Linux 6.0, which cannot read as uring6 does; `errc::out_of_range` for options outside of their ranges.
  explicit event_loop(const loop_options& options = {});

  /// The same without an exception, `not_enough_memory` for std::bad_alloc. Where there is no loop, `reason` is the
  /// text that the exception would have; what it holds otherwise is not specified.
  [[nodiscard]] static result<event_loop> create(const loop_options& options = {});
  [[nodiscard]] static result<event_loop> create(const loop_options& options, std::string& reason);

  event_loop(event_loop&&) noexcept;
  event_loop& operator=(event_loop&&) noexcept;

  /// Ends what is still in flight, waits for the kernel's last word on it, and frees the ring.
  ~event_loop();

  /// Runs `main` and everything it spawns, until it has ended; gives its value or rethrows its exception.
  /// Throws std::system_error if the loop cannot run here: `errc::wrong_thread`, `errc::forked`,
  /// resource_deadlock_would_occur inside of itself, `errc::closed` if it was moved from, EPERM, EACCES or ENOSYS where
  /// a sandbox has forbidden io_uring_enter or io_uring_register since the loop was made (the text says so).
  template <class T>
  T run(task<T> main) {
    bool done = false;
    auto root = [](task<T>& inner, bool& finished) -> task<T> {
      struct at_end {
        bool& flag;
        ~at_end() { flag = true; }
      } const note{finished};
      co_return co_await std::move(inner);
    };
    detail::stop_root stop(stop_.get_token());
    task<T> outer = root(main, done);
    outer.handle().promise().inherit_stop(stop);
    drive(outer.handle(), done);
    return outer.handle().promise().take();
  }

  /// Asks the main task, and with it all its children, to stop. Any thread; also before `run`, and for good: a task
  /// that is run later is stopped from its start.
  void stop() noexcept;

  /// Runs `f()` on the loop's thread, in the order of the posts. Any thread. Dropped unrun if the loop has ended.
  /// An exception out of `f` ends the program. Throws std::bad_alloc, and posts nothing then.
  template <std::invocable F>
  void post(F f);

  // --- inside of somebody else's loop: epoll, Asio, sd-event, libuv ---

  /// A descriptor that is readable (poll(2), epoll level- or edge-triggered) when `poll` has something to do, but
  /// for timers; always the same one, made and readable at the first call. The loop's: neither read nor close it. An
  /// epoll set of the ring and of an eventfd that is registered with it (IORING_REGISTER_EVENTFD). Errors: EMFILE;
  /// `errc::wrong_thread`, `errc::forked`.
  [[nodiscard]] result<int> descriptor();

  /// Runs what is ready, without sleeping: on the thread that the loop belongs to, whenever `descriptor` is readable,
  /// at the time that the last call returned, and after anything that was done from outside of the loop's tasks (a
  /// spawn, a deadline set, a conn closed). Tasks are those of a `scope` made with this loop.
  ///
  /// Returns when to call again at the latest, whatever the descriptor says: the next timer, a point that has
  /// passed if it stopped to let the host run, or none. Errors: as `run`.
  ///
  ///     scope tasks(loop);
  ///     tasks.spawn(serve(pc));
  ///     for (;;) {
  ///       const auto next = or_throw(loop.poll());
  ///       ::epoll_wait(epoll, events, 16, milliseconds_until(next));  // watches or_throw(loop.descriptor())
  ///       ...
  ///     }
  [[nodiscard]] result<std::optional<std::chrono::steady_clock::time_point>> poll();

  // --- what it has done, cheap enough to be always on ---

  /// On the loop's thread, as `pools`. On another one all 0 while that thread lives; when it has ended, or before the
  /// loop is first run, the values as they are.
  loop_stats stats() const noexcept;

  /// The pools of receive buffers that its conns share: that of short buffers, for conns that said how long their
  /// datagrams can be, then that of buffers which hold any datagram, and trains.
  std::array<pool_stats, 2> pools() const noexcept;

  /// The implementation, for the library's own rooms.
  const std::shared_ptr<detail::loop_core>& core() const noexcept { return core_; }

 private:
  explicit event_loop(std::shared_ptr<detail::loop_core> core);
  void drive(std::coroutine_handle<> handle, const bool& done);
  void post_call(void (*call)(void*), void (*drop)(void*), void* state);

  std::shared_ptr<detail::loop_core> core_;
  std::stop_source stop_;
};

template <std::invocable F>
void event_loop::post(F f) {
  auto state = std::make_unique<F>(std::move(f));
  post_call([](void* raw) { (*static_cast<F*>(raw))(); }, [](void* raw) { delete static_cast<F*>(raw); }, state.get());
  state.release();
}

}  // namespace uring6
