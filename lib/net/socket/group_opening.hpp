// How a group of loops opens its sockets: each on the thread of its loop, and closed there.
#pragma once

#include <cassert>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <utility>
#include <vector>

#include "runtime/loop/loop_core.hpp"
#include "uring6/address.hpp"
#include "uring6/loop_group.hpp"
#include "uring6/result.hpp"

namespace uring6::inline v0::detail {

/// A value that one thread waits for and another thread gives. Not std::promise, which allocates memory to report that
/// no value will come.
template <class T>
class answer {
 public:
  void give(std::optional<T> value, std::exception_ptr failure = nullptr) noexcept {
    const std::scoped_lock lock(mutex_);
    assert(!given_ && "a question has one answer");
    value_ = std::move(value);
    failure_ = std::move(failure);
    given_ = true;
    came_.notify_one();
  }

  /// Rethrows a failure; `errc::closed` if there is neither that nor a value.
  T wait() {
    std::unique_lock lock(mutex_);
    came_.wait(lock, [this] { return given_; });
    if (failure_) std::rethrow_exception(failure_);
    if (!value_) return fail(errc::closed);
    return std::move(*value_);
  }

 private:
  std::mutex mutex_;
  std::condition_variable came_;
  std::optional<T> value_;
  std::exception_ptr failure_;
  bool given_ = false;
};

/// Calls `f` on a loop's thread and waits for what it gives, or rethrows what it throws; `errc::closed` if that thread
/// has ended.
template <class F>
auto call_on(const loop_group& group, std::size_t index, F f) -> decltype(f()) {
  using value = decltype(f());
  struct question {
    explicit question(std::shared_ptr<answer<value>> to, F& what) noexcept : answer_(std::move(to)), f_(&what) {}
    question(question&&) noexcept = default;
    ~question() {
      if (answer_) answer_->give({});  // the loop has ended, and destroys the question without running it
    }
    void operator()() noexcept {
      assert(answer_ && "a question is asked once");
      const auto to = std::exchange(answer_, nullptr);
      try {
        to->give((*f_)());
      } catch (...) {
        to->give({}, std::current_exception());
      }
    }
    std::shared_ptr<answer<value>> answer_;
    F* f_;
  };
  const auto given = std::make_shared<answer<value>>();
  group.post(index, question(given, f));
  return given->wait();
}

/// Closes a conn or listener on its loop's thread, whichever thread drops the last pointer to it. The message for that
/// is allocated with the conn, so that dropping it cannot fail.
template <class Conn>
class ender {
 public:
  explicit ender(std::shared_ptr<loop_core> loop)
      : loop_(std::move(loop)), message_(std::make_unique<last_message>()) {}

  void operator()(Conn* conn) noexcept {
    assert(conn && message_ && "a conn ends once");
    message_->conn.reset(conn);
    if (!loop_->check_owner()) return message_.reset();
    loop_->post(std::move(message_));
  }

 private:
  // A loop that has ended destroys the message without running it; it has closed the conn before.
  struct last_message final : inbox_message {
    void run() noexcept override { conn.reset(); }
    std::unique_ptr<Conn> conn;
  };

  std::shared_ptr<loop_core> loop_;
  std::unique_ptr<last_message> message_;
};

/// Is the calling thread one of the group's? It would wait for itself.
inline bool runs_in(const loop_group& group) noexcept {
  for (std::size_t i = 0; i < group.size(); ++i) {
    if (group[i].core()->runs_here()) return true;
  }
  return false;
}

/// Opens one conn for each loop of the group, on the loop's thread, all at one address: `open_one(loop, address)`
/// returns a result<Conn>. The first one chooses the port of the others, and `with_first(conn)` prepares it. One after
/// the other, so that the sockets are bound in the order of the loops. On an error none stays open.
template <class Conn, class Open, class Prepare>
result<std::vector<std::shared_ptr<Conn>>> open_on_each(loop_group& group, endpoint address, const Open& open_one,
                                                        const Prepare& with_first) {
  std::vector<std::shared_ptr<Conn>> opened;
  const auto open_at = [&](std::size_t i) {
    return call_on(group, i, [&]() -> result<std::shared_ptr<Conn>> {
      auto conn = open_one(group[i], address);
      if (!conn) return fail(conn);
      ender<Conn> end(group[i].core());
      return std::shared_ptr<Conn>(new Conn(std::move(*conn)), std::move(end));
    });
  };
  const auto take_port = [&]() -> result<void> {
    const auto chosen = opened.front()->local_endpoint();
    if (!chosen) return fail(chosen);
    address.port = chosen->port;
    return with_first(*opened.front());
  };
  result<void> done;
  for (std::size_t i = 0; i < group.size() && done; ++i) {
    auto one = open_at(i);
    if (!one) {
      done = fail(one);
      continue;
    }
    opened.push_back(std::move(*one));
    if (i == 0) done = take_port();
  }
  assert((!done || opened.size() == group.size()) && "each loop has a conn");
  if (done) return opened;
  for (std::size_t i = 0; i < opened.size(); ++i) {
    const auto close = [&]() -> result<void> { return opened[i]->close(); };
    try {
      (void)call_on(group, i, close);
    } catch (const std::bad_alloc&) {
      // The conn is closed when `opened` drops it.
    }
  }
  return fail(done);
}

}  // namespace uring6::inline v0::detail
