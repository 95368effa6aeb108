// How a stop request reaches those who wait: each tree of tasks has one root, which holds the token that its tasks
// inherit and, on the loop's thread, the list of its tasks that wait for something. So a wait costs two links, not a
// std::stop_callback with its lock.
#pragma once

#include <optional>
#include <stop_token>
#include <utility>

#include "uring6/detail/intrusive_list.hpp"
#include "uring6/detail/waiting.hpp"
#include "uring6/export.hpp"

namespace uring6::detail {

class stop_root;

/// Hears of a stop request on the loop's thread, whichever thread made it.
class URING6_EXPORT stop_listener : list_hook {
 public:
  /// Until it is told, forgets, or goes. If the stop has been requested already, it is told in here.
  void listen(loop_core& loop, stop_root& root);
  void forget() noexcept { unlink(); }

 protected:
  ~stop_listener() { unlink(); }
  virtual void stop_requested() noexcept = 0;

 private:
  friend class stop_root;
  friend class intrusive_list<stop_listener>;
};

/// Lives in whoever started the tree of tasks (a scope, a timeout, the loop's run) and outlives them all. Any thread
/// may request the stop and ask for it; the rest belongs to the loop's thread.
class URING6_EXPORT stop_root final : remote_target {
 public:
  /// Never stopped.
  stop_root() = default;
  explicit stop_root(std::stop_token token) noexcept : token_(std::move(token)) {}
  ~stop_root() { close(); }

  /// Before its first listener.
  void follow(std::stop_token token) noexcept { token_ = std::move(token); }

  const std::stop_token& token() const noexcept { return token_; }
  bool stop_requested() const noexcept { return token_.stop_requested(); }

  /// On the loop's thread, when its tasks have ended: after that it can go on another one.
  void close() noexcept;

 private:
  friend stop_listener;
  struct forward {
    const remote_target* to;
    void operator()() const { to->call(); }
  };

  bool start(loop_core& loop);
  void called() noexcept override;
  void loop_ends() noexcept override { close(); }

  std::stop_token token_;
  intrusive_list<stop_listener> listeners_;
  std::optional<std::stop_callback<forward>> callback_;  // from the first listener on
};

inline void stop_listener::listen(loop_core& loop, stop_root& root) {
  if (!root.is_open() && !root.start(loop)) return;
  // Whoever is in the list when the stop is requested is told by the call; whoever comes later sees it here.
  if (root.stop_requested()) return stop_requested();
  root.listeners_.push_back(*this);
}

/// Of coroutines that nobody can ask to stop.
inline stop_root never_stopped;

}  // namespace uring6::detail
