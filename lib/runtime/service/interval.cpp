#include "uring6/interval.hpp"

namespace uring6::inline v0::detail {

bool tick_operation::await_ready() const noexcept {
  return of_.period_ <= clock::duration::zero();
}

droppable_result<std::uint64_t> tick_operation::await_resume() noexcept {
  if (await_ready()) return fail(errc::out_of_range);
  if (const auto slept = outcome(); !slept) return fail(slept.error());
  const clock::time_point now = clock::now();
  constexpr auto longest = clock::duration::max();
  const auto late = of_.next_ < now - longest ? longest : now - of_.next_;
  const auto until_next = of_.period_ - late % of_.period_;
  of_.next_ = until_next > clock::time_point::max() - now ? clock::time_point::max() : now + until_next;
  return static_cast<std::uint64_t>(late / of_.period_);
}

}  // namespace uring6::inline v0::detail
