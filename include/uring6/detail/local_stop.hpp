// The stop of children that one coroutine waits for (when_all, when_any, with_timeout): it is requested on the loop's
// thread nearly always, so it needs no std::stop_source, which costs an allocation, unless something asks for its
// token.
#pragma once

#include <optional>
#include <stop_token>

#include "uring6/detail/stop_root.hpp"
#include "uring6/export.hpp"

namespace uring6::detail {

/// A stop of the coroutine that waits is one of its children.
class URING6_EXPORT local_stop final : stop_listener {
 public:
  local_stop() noexcept { root_.local_ = this; }

  /// Before the first child starts. Throws std::bad_alloc.
  void open(loop_core& loop, stop_root& inherited);

  /// The loop's thread, as all but the token. All who wait below `root` have heard of it when this returns.
  void request() noexcept;
  bool requested() const noexcept { return root_.stop_requested(); }

  /// What the children inherit.
  stop_root& root() noexcept { return root_; }

  /// When all children have ended.
  void close() noexcept;

 private:
  friend class stop_root;
  struct relay {
    const std::stop_source* to;
    void operator()() const noexcept { to->request_stop(); }
  };

  void make_token();
  void stop_requested() noexcept override { request(); }

  loop_core* loop_ = nullptr;
  stop_root* inherited_ = nullptr;
  stop_root root_;
  std::stop_source source_{std::nostopstate};      // once something has asked for the token
  std::optional<std::stop_callback<relay>> link_;  // then a stop of the inherited token is one of this at once
};

}  // namespace uring6::detail
