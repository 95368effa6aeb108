// The main task of a run, for event_loop::tasks and debuggers.
#pragma once

#include <source_location>

#include "runtime/loop/loop_core.hpp"

namespace uring6::inline v0::detail {

class main_task final : task_root {
 public:
  /// Lives as long as the run. `promise`, `done`: of the run.
  main_task(loop_core& loop, const promise_base& promise, const bool& done, const std::source_location& where)
      : promise_(promise), done_(done), where_(where) {
    if (!loop.check_thread()) enter_list(loop);
  }

 private:
  void list_tasks(wait_listing& to) const override {
    if (!done_) to.task(promise_, "run", where_);
  }

  const promise_base& promise_;
  const bool& done_;
  std::source_location where_;
};

}  // namespace uring6::inline v0::detail
