// event_loop::tasks: goes from the roots (runs, scopes, guests) along the notes of the waiting coroutines
// (uring6/detail/wait_note.hpp) down to the operations.
#include <algorithm>
#include <cassert>
#include <functional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "runtime/loop/loop_core.hpp"
#include "sys/socket/socket.hpp"
#include "uring6/detail/child.hpp"
#include "uring6/detail/frame.hpp"
#include "uring6/detail/promise.hpp"
#include "uring6/event_loop.hpp"

namespace uring6::inline v0::detail {
namespace {

constexpr std::size_t no_task = static_cast<std::size_t>(-1);

std::uint64_t id_of(const promise_base& promise) noexcept {
  return reinterpret_cast<std::uintptr_t>(&promise);
}

/// The code of a suspended coroutine: the first word of its frame, by the ABI of GCC and clang; nullptr at its end.
const void* code_of(const promise_base& promise) noexcept {
  return *static_cast<const void* const*>(promise.frame());
}

/// The tasks stand in `found_` in the order in which they were reached; those of scopes get their parents at the end.
class task_lister final : wait_listing {
 public:
  explicit task_lister(const loop_core& loop) noexcept : loop_(loop) {}

  std::vector<task_info> list() {
    loop_.roots().for_each([this](const task_root& each) {
      root_ = &each;
      each.list_tasks(*this);
    });
    for (std::size_t i = 0; i < to_visit_.size(); ++i) visit(next_task(to_visit_[i]));  // a copy: it grows meanwhile
    adopt_orphans();
    return parents_first();
  }

 private:
  struct next_task {
    const promise_base* promise = nullptr;
    std::string_view origin{};
    std::source_location spawned{};
    std::size_t parent = no_task;      // index in found_
    const task_root* scope = nullptr;  // of a task of a scope: its parent is found at the end
    bool queued = false;               // if it has not begun, it is in the ready queue
  };
  struct frame_range {
    const std::byte* begin;
    const std::byte* end;
    std::size_t owner;  // index in found_
  };

  void visit(const next_task& one) {
    const std::size_t index = found_.size();
    current_ = index;
    scope_of_.push_back(one.scope);
    parent_of_.push_back(one.parent);
    task_info& info = found_.emplace_back();
    info.id = id_of(*one.promise);
    info.origin = one.origin;
    info.spawned = one.spawned;
    info.stop_requested = one.promise->stop_requested();
    std::size_t frames = 0;
    for (const promise_base* at = one.promise; at; ++frames) at = descend(*at, one.queued);
    found_[index].depth = frames - 1;
    note_addresses(found_[index]);
  }

  /// Returns the task that the coroutine awaits; nullptr for the innermost one.
  const promise_base* descend(const promise_base& at, bool queued) {
    assert(at.frame());
    if (const std::size_t size = frame_size(at.frame()); size > 0) {
      const auto* const begin = static_cast<const std::byte*>(at.frame());
      frames_.push_back({begin, begin + size, current_});
    }
    const wait_kind* const wait = at.wait();
    task_info& info = found_[current_];
    info.code = code_of(at);
    if (!wait || at.frame() == loop_.resumed()) {
      info.state = !wait && queued ? task_state::ready : task_state::running;
      return nullptr;
    }
    awaited_ = nullptr;
    over_ = false;
    origin_ = wait->operation;
    if (wait->tell) wait->tell(at.awaiter(), *this);
    if (awaited_) return awaited_;
    found_[current_].operation = wait->operation;
    found_[current_].state = over_ ? task_state::ready : task_state::waiting;
    return nullptr;
  }

  static void note_addresses(task_info& info) noexcept {
    if (info.descriptor < 0) return;
    if (const auto local = local_endpoint(info.descriptor)) info.local = *local;
    if (const auto peer = peer_endpoint(info.descriptor)) info.peer = *peer;
  }

  // --- what operations and roots tell ---

  void descriptor(int fd) override { found_[current_].descriptor = fd; }
  void until(clock::time_point deadline) override { found_[current_].until = deadline; }
  void ready() override { over_ = true; }
  void awaits(const promise_base& task) override { awaited_ = &task; }
  void joins(const task_root& scope) override { joiner_of_[&scope] = current_; }
  void task(const promise_base& which, std::string_view origin, const std::source_location& spawned) override {
    const bool queued = origin == "run" && !which.wait() && which.frame() != loop_.resumed();
    to_visit_.push_back({.promise = &which, .origin = origin, .spawned = spawned, .queued = queued});
  }
  void child(const child_promise& which) override {
    next_task one{.promise = &which, .queued = which.ready_node::linked()};
    if (current_ == no_task) {
      one.origin = "scope";
      one.spawned = which.where;
      one.scope = root_;
    } else {
      one.origin = origin_;
      one.parent = current_;
    }
    to_visit_.push_back(one);
  }

  // --- parents ---

  /// A scope's tasks belong to the task that joins it, or in whose frames the scope lies.
  void adopt_orphans() {
    std::sort(frames_.begin(), frames_.end(),
              [](const frame_range& one, const frame_range& other) { return std::less<>()(one.begin, other.begin); });
    for (std::size_t i = 0; i < found_.size(); ++i) {
      if (const task_root* const scope = scope_of_[i]) parent_of_[i] = holder_of(*scope);
      if (parent_of_[i] != no_task) found_[i].parent = found_[parent_of_[i]].id;
    }
  }

  std::size_t holder_of(const task_root& scope) {
    const auto known = joiner_of_.find(&scope);
    if (known != joiner_of_.end()) return known->second;
    const auto* const at = reinterpret_cast<const std::byte*>(&scope);
    const auto above =
        std::upper_bound(frames_.begin(), frames_.end(), at,
                         [](const std::byte* a, const frame_range& b) { return std::less<>()(a, b.begin); });
    const bool inside = above != frames_.begin() && std::less<>()(at, std::prev(above)->end);
    return joiner_of_[&scope] = inside ? std::prev(above)->owner : no_task;
  }

  std::vector<task_info> parents_first() {
    std::vector<std::vector<std::size_t>> children(found_.size());
    std::vector<std::size_t> open;
    for (std::size_t i = found_.size(); i-- > 0;) {
      if (parent_of_[i] == no_task) {
        open.push_back(i);
      } else {
        children[parent_of_[i]].push_back(i);
      }
    }
    std::vector<task_info> ordered;
    ordered.reserve(found_.size());
    while (!open.empty()) {
      const std::size_t next = open.back();
      open.pop_back();
      ordered.push_back(found_[next]);
      open.insert(open.end(), children[next].begin(), children[next].end());
    }
    assert(ordered.size() == found_.size() && "a task is its own ancestor");
    return ordered;
  }

  const loop_core& loop_;
  std::vector<task_info> found_;
  std::vector<std::size_t> parent_of_;      // index in found_
  std::vector<const task_root*> scope_of_;  // nullptr: no task of a scope
  std::vector<next_task> to_visit_;
  std::vector<frame_range> frames_;
  std::unordered_map<const task_root*, std::size_t> joiner_of_;
  const task_root* root_ = nullptr;
  std::size_t current_ = no_task;  // the task that is being visited
  const promise_base* awaited_ = nullptr;
  std::string_view origin_;
  bool over_ = false;
};

}  // namespace
}  // namespace uring6::inline v0::detail

namespace uring6::inline v0 {

std::vector<task_info> event_loop::tasks() const {
  if (!core_ || core_->busy_elsewhere() || core_->ended()) return {};
  return detail::task_lister(*core_).list();
}

}  // namespace uring6::inline v0
