// The stop of the children of one coroutine (when_all, when_any, with_timeout). It is nearly always requested on the
// loop's thread. So it follows the inherited token, which takes a lock and a slot of the loop, only if a child asks for
// its own token.
#pragma once

#include <optional>

#include "uring6/detail/stop_root.hpp"
#include "uring6/export.hpp"
#include "uring6/stop_token.hpp"

namespace uring6::inline v0::detail {

/// A stop request to the waiting coroutine is also a stop request to its children.
class URING6_EXPORT local_stop final : stop_listener {
 public:
  local_stop() noexcept { root_.local_ = this; }

  /// Call before the first child starts. Throws std::bad_alloc.
  URING6_HIDDEN void open(loop_core& loop, stop_root& inherited);

  /// On the loop's thread, as all members but the token. Every coroutine that waits below `root` has been told when
  /// this returns.
  void request() noexcept;
  bool requested() const noexcept { return root_.stop_requested(); }

  /// The root that the children inherit.
  stop_root& root() noexcept { return root_; }

  /// Call when all children have ended.
  void close() noexcept;

 private:
  friend class stop_root;
  struct relay {
    stop_source* to;
    void operator()() const noexcept { to->request_stop(); }
  };

  URING6_HIDDEN void link_token();
  URING6_HIDDEN void stop_requested() noexcept override { request(); }

  loop_core* loop_ = nullptr;
  stop_root* inherited_ = nullptr;
  stop_source source_;  // of the token that a child asks for, unused before; the root's callback ends before it
  stop_root root_;
  std::optional<stop_callback<relay>> link_;  // then passes a stop of the inherited token on at once
};

}  // namespace uring6::inline v0::detail
