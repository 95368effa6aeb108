// Asio: a loop that runs inside of an io_context, and uring6's operations in an asio::awaitable. Optional: the header
// is empty without Asio, or if Asio does not recognize the compiler's coroutines; URING6_HAS_ASIO says whether it is
// active.
#pragma once

#include "uring6/version.hpp"

#if __has_include(<asio/detail/config.hpp>)
#include <asio/detail/config.hpp>
#endif

#if defined(ASIO_HAS_CO_AWAIT)
#define URING6_HAS_ASIO 1

#include <asio/any_io_executor.hpp>
#include <asio/associated_cancellation_slot.hpp>
#include <asio/associated_executor.hpp>
#include <asio/async_result.hpp>
#include <asio/awaitable.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "uring6/detail/awaitable.hpp"
#include "uring6/detail/child.hpp"
#include "uring6/detail/intrusive_list.hpp"
#include "uring6/detail/siblings.hpp"
#include "uring6/event_loop.hpp"
#include "uring6/result.hpp"
#include "uring6/task.hpp"

namespace uring6::inline v0 {

/// Runs `loop` inside of an Asio execution context while a coroutine awaits something through the bridge.
///
///     uring6::event_loop loop;  // outlives the context
///     asio::io_context io;
///     uring6::asio_bridge bridge(loop, io.get_executor());
///     asio::awaitable<void> serve(packet_conn& pc) {
///       auto got = co_await bridge.await(pc.read_from(buffer));   // result<datagram>
///     }
///
/// One thread runs the context and the loop; the bridge and its operations belong to that thread. The bridge must
/// live as long as it has a coroutine to resume; coroutines that are destroyed with the context may be destroyed
/// later. The loop must outlive all of them. Tasks of the loop's scopes run meanwhile, too.
class asio_bridge {
 public:
  /// Throws std::system_error if the loop gives no descriptor.
  asio_bridge(event_loop& loop, const asio::any_io_executor& executor)
      : loop_(loop), timer_(executor), readiness_(executor, or_throw(loop.descriptor())) {}
  asio_bridge(const asio_bridge&) = delete;
  asio_bridge& operator=(const asio_bridge&) = delete;
  ~asio_bridge() {
    shared_->alive = false;
    while (!pending_.empty()) pending_.pop_front().drop_handler();
    readiness_.release();  // the loop owns the descriptor
  }

  /// Awaits a uring6 operation or a task, which it owns from now on. Returns what it returns and
  /// rethrows what it throws. Asio's cancellation (a cancellation signal, operator||, …) is a stop request: the
  /// operation ends with `errc::canceled`, or with a value that was ready before.
  template <detail::operand A>
  asio::awaitable<std::conditional_t<std::is_void_v<detail::await_result<A>>, void, detail::await_value<A>>> await(
      A&& awaited) {
    return run(*this, std::make_unique<bridged<A>>(*this, static_cast<A&&>(awaited)));
  }

  /// Requests a turn of the loop. Call it after a change from outside of the loop's tasks that is no `await` (a conn
  /// closed, a deadline set, a spawn, a gate opened), on the thread of the bridge: by readiness nothing else makes the
  /// loop see it. `await` calls it itself.
  void wake() {
    if (std::exchange(woken_, true)) return;
    asio::post(timer_.get_executor(), [this, shared = shared_] {
      if (!shared->alive) return;
      woken_ = false;
      turn();
    });
  }

 private:
  /// State that handlers and frames read and that may outlive the bridge: they are destroyed with the context.
  struct shared_state {
    bool alive = true;
    std::size_t waiting = 0;
  };

  /// An operation in flight. It keeps the handler, which owns the frame, which owns the operation; drop_handler
  /// breaks this cycle.
  struct pending : detail::list_hook {
    virtual void drop_handler() noexcept = 0;

   protected:
    ~pending() { unlink(); }
  };

  template <class A>
  class bridged final : detail::child_owner, public pending {
   public:
    bridged(asio_bridge& bridge, A&& awaited)
        : bridge_(bridge), shared_(bridge.shared_), part_(static_cast<A&&>(awaited)) {}

    template <class Handler>
    void start(Handler handler) {
      auto slot = asio::get_associated_cancellation_slot(handler);
      if (slot.is_connected()) {
        slot.assign([this](asio::cancellation_type) {
          stop_.request_stop();
          if (shared_->alive) bridge_.wake();
        });
      }
      done_ = std::make_unique<held_handler<Handler>>(std::move(handler));
      part_.prepare();
      detail::child_promise& promise = part_.child().promise();
      promise.set_owner(*this, root_);
      promise.handle = std::coroutine_handle<detail::child_promise>::from_promise(promise);
      detail::make_ready(*bridge_.loop_.core(), promise);
      ++shared_->waiting;
      bridge_.pending_.push_back(*this);
      bridge_.wake();
    }

    auto take() {
      if (part_.exception()) std::rethrow_exception(part_.exception());
      return part_.value();
    }

    ~bridged() {
      if (done_) --shared_->waiting;
    }

   private:
    struct handler_base {
      virtual ~handler_base() = default;
      virtual void call() = 0;
    };
    template <class Handler>
    struct held_handler final : handler_base {
      explicit held_handler(Handler given) : handler(std::move(given)) {}
      // Posted, not called from inside of the loop, because the resumed coroutine destroys this operation.
      void call() override { asio::post(std::move(handler)); }
      Handler handler;
    };

    // Asio unwinds the frames through the executor, so this object lives until the context runs or is destroyed.
    void drop_handler() noexcept override {
      --shared_->waiting;
      const std::unique_ptr<handler_base> dropped = std::move(done_);
    }

    std::coroutine_handle<> ended(detail::child_promise&) noexcept override {
      if (done_) {  // else dropped
        pending::unlink();
        --shared_->waiting;
        std::exchange(done_, nullptr)->call();
      }
      return std::noop_coroutine();
    }

    asio_bridge& bridge_;
    std::shared_ptr<shared_state> shared_;
    stop_source stop_;
    detail::stop_root root_{stop_.get_token()};
    std::unique_ptr<handler_base> done_;
    detail::sibling<A> part_;  // last member: destroyed first, with its operation in flight
  };

  template <class A>
  static asio::awaitable<std::conditional_t<std::is_void_v<detail::await_result<A>>, void, detail::await_value<A>>> run(
      asio_bridge&, std::unique_ptr<bridged<A>> operation) {
    const auto begin = [](auto handler, bridged<A>* what) { what->start(std::move(handler)); };
    co_await asio::async_initiate<const asio::use_awaitable_t<>&, void()>(begin, asio::use_awaitable, operation.get());
    if constexpr (std::is_void_v<detail::await_result<A>>) {
      operation->take();
    } else {
      co_return operation->take();
    }
  }

  // Watches the descriptor only while a coroutine waits, so that the context can run out of work.
  void turn() {
    const auto next = or_throw(loop_.poll());
    if (shared_->waiting == 0) {
      timer_.cancel();
      if (watching_) readiness_.cancel();
      return;
    }
    if (next) {
      timer_.expires_at(*next);
      timer_.async_wait([this, shared = shared_](const asio::error_code& error) {
        if (!error && shared->alive) turn();
      });
    } else {
      timer_.cancel();
    }
    if (std::exchange(watching_, true)) return;
    readiness_.async_wait(asio::posix::descriptor_base::wait_read,
                          [this, shared = shared_](const asio::error_code& error) {
                            if (!shared->alive) return;
                            watching_ = false;
                            if (!error || shared->waiting > 0) turn();
                          });
  }

  event_loop& loop_;
  asio::steady_timer timer_;
  asio::posix::stream_descriptor readiness_;
  std::shared_ptr<shared_state> shared_ = std::make_shared<shared_state>();
  detail::intrusive_list<pending> pending_;
  bool woken_ = false;
  bool watching_ = false;
};

}  // namespace uring6::inline v0

#else
#define URING6_HAS_ASIO 0
#endif
