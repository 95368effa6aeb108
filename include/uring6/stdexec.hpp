// Senders (P2300): uring6's operations and tasks as senders, and senders that uring6's coroutines await. Optional:
// the header is empty without <stdexec/execution.hpp> (github.com/NVIDIA/stdexec); URING6_HAS_STDEXEC says whether it
// is active.
#pragma once

#include "uring6/version.hpp"

#if __has_include(<stdexec/execution.hpp>)
#define URING6_HAS_STDEXEC 1

#include <concepts>
#include <condition_variable>
#include <coroutine>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexec/execution.hpp>
#include <string_view>
#include <system_error>
#include <tuple>
#include <type_traits>
#include <utility>

#include "uring6/detail/awaitable.hpp"
#include "uring6/detail/guest.hpp"
#include "uring6/detail/promise.hpp"
#include "uring6/detail/waiting.hpp"
#include "uring6/event_loop.hpp"
#include "uring6/result.hpp"

namespace uring6::inline v0 {
namespace detail {

/// The awaitable, made when the operation begins.
template <class F>
concept makes_awaitable = std::invocable<F&> && awaitable<std::invoke_result_t<F&>>;

/// An operation or a task, kept until the operation begins.
template <awaitable A>
struct kept_awaitable {
  A awaited;
  decltype(auto) operator()() noexcept { return operand_of<A>(awaited); }
};

template <class T>
struct value_signature {
  using type = stdexec::set_value_t(T);
};
template <>
struct value_signature<void> {
  using type = stdexec::set_value_t();
};

template <makes_awaitable Make, class Receiver>
class sender_operation final : guest {
  using awaited = std::invoke_result_t<Make&>;
  using token = stdexec::stop_token_of_t<stdexec::env_of_t<Receiver>>;

  struct relay {
    stop_source* to;
    void operator()() const noexcept { to->request_stop(); }
  };

 public:
  using operation_state_concept = stdexec::operation_state_t;

  sender_operation(std::shared_ptr<loop_core> loop, Make make, Receiver receiver)
      : guest(std::move(loop)), make_(std::move(make)), receiver_(std::move(receiver)) {}

  void start() & noexcept {
    auto asked = stdexec::get_stop_token(stdexec::get_env(receiver_));
    if (!asked.stop_possible()) return enter(stop_token());
    link_.emplace(std::move(asked), relay{&stop_});
    enter(stop_.get_token());
  }

 private:
  guest_work work() override { return run(*this); }

  static guest_work run(sender_operation& self) {
    if constexpr (std::is_void_v<await_result<awaited>>) {
      co_await self.make_();
      self.value_.emplace();
    } else {
      await_value<awaited> value = co_await self.make_();
      self.value_.emplace(std::move(value));
    }
  }

  void finished(std::exception_ptr failure) noexcept override {
    link_.reset();
    if (failure) return stdexec::set_error(std::move(receiver_), std::move(failure));
    if constexpr (std::is_void_v<await_result<awaited>>) {
      stdexec::set_value(std::move(receiver_));
    } else {
      if constexpr (is_result<await_value<awaited>>) {
        const bool canceled = !*value_ && value_->error() == std::errc::operation_canceled;
        if (canceled && stop_.stop_requested()) return stdexec::set_stopped(std::move(receiver_));
      }
      stdexec::set_value(std::move(receiver_), std::move(*value_));
    }
  }

  void turned_away() noexcept override {
    link_.reset();
    stdexec::set_stopped(std::move(receiver_));
  }

  Make make_;
  Receiver receiver_;
  stop_source stop_;
  std::optional<await_value<awaited>> value_;
  std::optional<stdexec::stop_callback_for_t<token, relay>> link_;
};

template <makes_awaitable Make>
class loop_sender {
  using value = kept_value_t<await_result<std::invoke_result_t<Make&>>>;

 public:
  using sender_concept = stdexec::sender_t;
  using completion_signatures = stdexec::completion_signatures<
      typename value_signature<std::conditional_t<std::is_void_v<value>, void, std::remove_cvref_t<value>>>::type,
      stdexec::set_error_t(std::exception_ptr), stdexec::set_stopped_t()>;

  loop_sender(std::shared_ptr<loop_core> loop, Make make) : loop_(std::move(loop)), make_(std::move(make)) {}

  template <stdexec::receiver Receiver>
  sender_operation<Make, Receiver> connect(Receiver receiver) && {
    return {std::move(loop_), std::move(make_), std::move(receiver)};
  }
  template <stdexec::receiver Receiver>
  requires std::copy_constructible<Make> sender_operation<Make, Receiver> connect(Receiver receiver)
  const& { return {loop_, make_, std::move(receiver)}; }

 private:
  std::shared_ptr<loop_core> loop_;
  Make make_;
};

// --- senders awaited by coroutines ---

/// The values of a completion: none, one, or several as a tuple.
template <class... Values>
struct sent {
  using type = std::tuple<std::decay_t<Values>...>;
};
template <>
struct sent<> {
  using type = void;
};
template <class Value>
struct sent<Value> {
  using type = std::decay_t<Value>;
};

template <class... Completions>
struct one_completion {
  static_assert(sizeof...(Completions) == 1, "a sender that is awaited completes with values in one way");
};
template <class Completion>
struct one_completion<Completion> {
  using type = typename Completion::type;
};
template <>
struct one_completion<> {
  using type = void;  // the sender completes with errors or a stop only
};

template <class T>
using as_result = std::conditional_t<is_result<T>, kept_value_t<T>, result<kept_value_t<T>>>;

/// The environment of the receiver: the stop token of the awaiting coroutine.
struct awaiting_env {
  stdexec::inplace_stop_token token;
  stdexec::inplace_stop_token query(stdexec::get_stop_token_t) const noexcept { return token; }
};

template <class Sender>
class sender_awaiter final : ready_node, remote_target {
  using value = typename stdexec::value_types_of_t<Sender, awaiting_env, sent, one_completion>::type;
  using outcome = as_result<value>;

  struct receiver {
    using receiver_concept = stdexec::receiver_t;

    template <class... Values>
    void set_value(Values&&... values) noexcept {
      try {
        if constexpr (sizeof...(Values) > 1) {
          at->outcome_.emplace(value(static_cast<Values&&>(values)...));
        } else {
          at->outcome_.emplace(static_cast<Values&&>(values)...);
        }
      } catch (...) {
        at->failure_ = std::current_exception();
      }
      at->completed();
    }
    template <class Error>
    void set_error(Error&& error) noexcept {
      using kind = std::decay_t<Error>;
      if constexpr (std::is_same_v<kind, std::error_code>) {
        at->outcome_.emplace(fail(error));
      } else if constexpr (std::is_same_v<kind, std::exception_ptr>) {
        at->failure_ = static_cast<Error&&>(error);
      } else {
        at->failure_ = std::make_exception_ptr(static_cast<Error&&>(error));
      }
      at->completed();
    }
    void set_stopped() noexcept {
      at->outcome_.emplace(fail(errc::canceled));
      at->completed();
    }
    awaiting_env get_env() const noexcept { return {at->stop_.get_token()}; }

    sender_awaiter* at;
  };

  struct relay {
    stdexec::inplace_stop_source* to;
    void operator()() const noexcept { to->request_stop(); }
  };

 public:
  static constexpr std::string_view wait_name = "sender";

  explicit sender_awaiter(Sender&& sender)  // made where it is awaited: a connected operation cannot be moved
      : operation_(stdexec::connect(static_cast<Sender&&>(sender), receiver{this})) {}
  sender_awaiter(const sender_awaiter&) = delete;
  sender_awaiter& operator=(const sender_awaiter&) = delete;
  ~sender_awaiter() {
    link_.reset();
    if (!started_) return;
    stop_.request_stop();
    std::unique_lock lock(mutex_);
    over_.wait(lock, [this] { return done_; });
  }

  bool await_ready() const noexcept { return false; }

  bool await_suspend(std::coroutine_handle<> waiting, const environment& in) {
    begin_wait(waiting);
    loop_ = current_loop();
    if (!loop_) {
      outcome_.emplace(fail(errc::wrong_thread));
      return false;
    }
    open(*loop_);
    started_ = starting_ = true;
    const stop_token& token = stop_of(in).token();
    if (token.stop_possible()) link_.emplace(token, relay{&stop_});
    stdexec::start(operation_);
    const std::scoped_lock lock(mutex_);
    starting_ = false;
    return !at_once_;
  }

  outcome await_resume() {
    link_.reset();
    {
      // The completing thread may still be inside of completed().
      const std::scoped_lock lock(mutex_);
      close();
    }
    if (failure_) std::rethrow_exception(std::move(failure_));
    return std::move(*outcome_);
  }

  void tell_wait(wait_listing& to) const { to.ready_if(linked()); }

 private:
  // Any thread, once.
  void completed() noexcept {
    const std::scoped_lock lock(mutex_);
    done_ = true;
    if (current_loop() == loop_ && starting_) {
      at_once_ = true;
    } else if (is_open()) {
      call();
    }
    over_.notify_all();
  }
  void called() noexcept override { make_ready(*loop_, *this); }
  void loop_ends() noexcept override {
    const std::scoped_lock lock(mutex_);
    close();
  }

  loop_core* loop_ = nullptr;
  std::mutex mutex_;
  std::condition_variable over_;
  bool started_ = false;
  bool starting_ = false;  // used on the loop's thread only
  bool at_once_ = false;   // used on the loop's thread only
  bool done_ = false;
  std::optional<outcome> outcome_;
  std::exception_ptr failure_;
  stdexec::inplace_stop_source stop_;
  std::optional<stop_callback<relay>> link_;
  stdexec::connect_result_t<Sender, receiver> operation_;
};

template <class Sender>
class from_sender_operation {
 public:
  explicit from_sender_operation(Sender&& sender) : sender_(static_cast<Sender&&>(sender)) {}
  sender_awaiter<Sender> operator co_await() && { return sender_awaiter<Sender>(static_cast<Sender&&>(sender_)); }

 private:
  Sender sender_;
};

}  // namespace detail

/// A sender of the awaitable that `make()` returns: an operation of a conn, a timer, a task. Any thread may start the
/// sender. On the loop's thread it calls `make`, awaits the result, and completes the receiver. If `make` can be
/// copied, the sender can be connected again.
///
///     auto reading = as_sender(loop, [&] { return pc.read_from(buffer); }) |
///                    stdexec::then([](result<datagram> got) { ... });
///
/// It completes exactly once:
/// - with the value; a result<T> stays as it is, so that errors of the network are values here, too;
/// - with set_error(std::exception_ptr) if the awaitable throws;
/// - with set_stopped if the receiver's stop token ended the operation as canceled (a datagram that was there before
///   is a value), or if the loop ended before the operation.
///
/// A task that returns no result<T> must tell by its value that it was stopped.
template <detail::makes_awaitable Make>
auto as_sender(event_loop& loop, Make make) {
  return detail::loop_sender<Make>(loop.core(), std::move(make));
}

/// The same for an operation or a task, which the sender keeps until it is started.
template <class A>
requires(detail::awaitable<A> && !std::is_lvalue_reference_v<A> &&
         std::move_constructible<A>) auto as_sender(event_loop& loop, A&& awaited) {
  return detail::loop_sender<detail::kept_awaitable<A>>(loop.core(), {std::move(awaited)});
}

/// Awaits a sender in a task of a running loop. The task goes on there, wherever the sender completes. A stop of the
/// task is a stop request to the sender.
///
///     auto adding = stdexec::starts_on(pool, stdexec::just(1, 2)) | stdexec::then(std::plus());
///     result<int> sum = co_await from_sender(std::move(adding));
///
/// Returns result<T>: the value, a tuple of several values, or nothing; a result<T> stays as it is. set_stopped
/// becomes `errc::canceled`, set_error of a std::error_code becomes that error, any other error is thrown.
/// `errc::wrong_thread` outside of a loop. The sender must have one kind of value completion.
///
/// A task that is destroyed while it waits asks the sender to stop and blocks until the sender has completed. A
/// sender that needs this thread to complete must be ended by a stop request instead.
template <stdexec::sender Sender>
[[nodiscard("co_await it")]] detail::from_sender_operation<Sender> from_sender(Sender&& sender) {
  return detail::from_sender_operation<Sender>(static_cast<Sender&&>(sender));
}

}  // namespace uring6::inline v0

#else
#define URING6_HAS_STDEXEC 0
#endif
