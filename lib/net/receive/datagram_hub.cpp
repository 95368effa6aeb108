#include "uring6/datagram_hub.hpp"

#include <cassert>
#include <new>
#include <utility>

#include "ipv6/value/names.hpp"
#include "net/receive/hub_core.hpp"
#include "sys/failure/failure_note.hpp"
#include "uring6/event_loop.hpp"
#include "uring6/packet_conn.hpp"
#include "uring6/this_task.hpp"

namespace uring6::inline v0 {
namespace detail {

// --- the wait of a subscription ---

subscription_receive_operation::~subscription_receive_operation() {
  if (waits_) member_->end_wait(*this);
}

bool subscription_receive_operation::suspend(std::coroutine_handle<> waiting, stop_root& stop) {
  begin_wait(waiting);
  error_ = member_ && !member_->core().loop().ended() ? error_slot(member_->core().loop().check_owner())
                                                      : error_slot(errc::closed);
  if (error_) return false;
  // First of all, because the kernel may need the buffers for what is waited for.
  member_->release();
  if (stop.stop_requested()) error_ = errc::canceled;
  if (!error_) error_ = member_->check_receive();
  loop_core& loop = member_->core().loop();
  if (error_ || (member_->has_pending() && loop.spend())) return false;
  stop.prepare(loop);
  member_->wait(*this);
  waits_ = true;
  listen(stop);
  if (waits_ && member_->has_pending()) wake({});
  return true;
}

/// Resumes the coroutine. With an error it has left its subscription, which may end; without one a batch is pending.
void subscription_receive_operation::wake(error_slot why) noexcept {
  assert(waits_);
  hub_member& member = *member_;
  if (why) {
    error_ = why;
    waits_ = false;
    member.end_wait(*this);
  }
  if (!ready_node::linked()) make_ready(member.core().loop(), *this);
}

void subscription_receive_operation::stop_requested() noexcept {
  if (waits_) wake(errc::canceled);
}

void subscription_receive_operation::tell_wait(wait_listing& to) const {
  to.ready_if(ready_node::linked());
}

result<shared_batch> subscription_receive_operation::await_resume() noexcept {
  forget();
  if (waits_) {
    waits_ = false;
    member_->end_wait(*this);
  }
  if (error_) return fail(error_.code());
  return member_->take();
}

// --- the reader ---

namespace {

/// The datagrams that the reader has and the members do not. They are not lost when the reader is destroyed.
class run_of_hub {
 public:
  explicit run_of_hub(hub_core& of) noexcept : of_(of) { of_.begin_run(); }
  run_of_hub(const run_of_hub&) = delete;
  run_of_hub& operator=(const run_of_hub&) = delete;
  ~run_of_hub() {
    while (!batch_.empty()) of_.publish(batch_);
    if (of_.is_running()) of_.end_run(why_);
  }

  datagram_batch& batch() noexcept { return batch_; }
  /// A stop is one of the reader, not of the members: they get `errc::closed`.
  void end(const std::error_code& why) noexcept {
    if (why != errc::canceled) why_ = why;
  }

 private:
  hub_core& of_;
  datagram_batch batch_;
  error_slot why_ = errc::closed;
};

task<result<void>> read_for_all(std::shared_ptr<hub_core> core, packet_conn& pc) {
  if (!core) co_return fail(errc::closed);
  if (!core->loop().runs_here()) co_return fail(errc::wrong_thread);
  if (core->is_running()) co_return fail(std::errc::operation_in_progress);
  run_of_hub run(*core);
  for (;;) {
    const auto got = co_await pc.receive(run.batch());
    if (!got && !is_transient(got.error())) {
      run.end(got.error());
      co_return fail(got.error());
    }
    if (!got) {
      core->publish(got.error());
      // A read that fails at once, without memory, must not keep the others from running.
      co_await this_task::yield();
    }
    while (!run.batch().empty()) {
      while (core->outruns_a_woken_member(run.batch())) co_await this_task::yield();
      core->publish(run.batch());
    }
  }
}

}  // namespace
}  // namespace detail

// --- subscription ---

subscription::subscription(std::unique_ptr<detail::hub_member> member) noexcept : member_(std::move(member)) {}
subscription::subscription() noexcept = default;
subscription::subscription(subscription&&) noexcept = default;
subscription& subscription::operator=(subscription&&) noexcept = default;
subscription::~subscription() = default;

void subscription::release() noexcept {
  if (member_) member_->release();
}

subscription_stats subscription::stats() const noexcept {
  return member_ ? member_->stats() : subscription_stats{};
}

// --- datagram_hub ---

datagram_hub::datagram_hub(event_loop& loop, packet_conn& pc)
    : core_(loop.core() ? std::make_shared<detail::hub_core>(loop.core()) : nullptr), conn_(&pc) {}
datagram_hub::datagram_hub(datagram_hub&&) noexcept = default;
datagram_hub& datagram_hub::operator=(datagram_hub&& other) noexcept {
  std::swap(core_, other.core_);
  std::swap(conn_, other.conn_);
  return *this;
}
datagram_hub::~datagram_hub() {
  if (!core_) return;
  core_->loop().must_end_here("a datagram_hub");
  core_->abandon();
}

result<subscription> datagram_hub::subscribe(const subscription_options& options) {
  constexpr std::size_t most = 32'768;  // buffers of the largest pool
  const auto make = [&]() -> result<subscription> {
    if (!core_ || core_->loop().ended()) return fail(errc::closed);
    if (const auto error = core_->loop().check_thread()) return fail(error);
    if (options.buffers < detail::hub_batch::most_buffers || options.buffers > most)
      return fail(errc::out_of_range);
    std::unique_ptr<detail::hub_member> member(new (std::nothrow) detail::hub_member(core_, options));
    if (!member) return fail(std::errc::not_enough_memory);
    return subscription(std::move(member));
  };
  return detail::noted(make(), "subscribe", [&] { return std::to_string(options.buffers) + " buffers"; });
}

task<result<void>> datagram_hub::run() {
  return detail::read_for_all(core_, *conn_);
}

std::size_t datagram_hub::subscriptions() const noexcept {
  return core_ ? core_->members() : 0;
}

std::string to_string(when_behind value) {
  static constexpr detail::named<when_behind> names[] = {
      {when_behind::skip, "skip"},
      {when_behind::cut_off, "cut_off"},
  };
  return detail::name_of<when_behind>(value, names);
}

}  // namespace uring6::inline v0
