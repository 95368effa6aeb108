#include "uring6/drain_on_stop.hpp"

#include "uring6/scope.hpp"
#include "uring6/shield.hpp"
#include "uring6/stop.hpp"
#include "uring6/with_stop.hpp"

namespace uring6::inline v0::detail {
namespace {

task<result<void>> take_in_no_more(packet_conn& from) {
  return from.stop_receiving();
}
task<result<void>> take_in_no_more(tcp_listener& from) {
  co_return from.stop_accepting();
}

/// Waits for the stop; `cannot` is requested if `from` goes on taking in, or there is no memory to wait.
template <class Socket>
task<void> close_entrance_at_stop(Socket& from, stop_token outside, stop_source& cannot) {
  try {
    (void)co_await with_stop(outside, sleep_until(clock::time_point::max()));
    if (!outside.stop_requested()) co_return;  // `serving` has ended by itself
    const auto done = co_await take_in_no_more(from);
    if (!done) cannot.request_stop();
  } catch (...) {
    cannot.request_stop();  // else no stop would reach `serving`
    throw;
  }
}

template <class Socket>
task<void> serve_beside_entrance(Socket& from, stop_token outside, task<void> serving) {
  stop_source cannot;
  scope entrance;
  entrance.spawn(close_entrance_at_stop(from, outside, cannot));
  co_await with_stop(cannot.get_token(), std::move(serving));
  entrance.request_stop();
  co_await entrance.join();
}

template <class Socket>
task<void> drain_socket(Socket& from, clock::duration limit, task<void> serving) {
  const stop_token outside = co_await this_task::stop_token();
  co_await shield(limit, serve_beside_entrance(from, outside, std::move(serving)));
}

}  // namespace

task<void> drain_packets(packet_conn& from, clock::duration limit, task<void> serving) {
  return drain_socket(from, limit, std::move(serving));
}
task<void> drain_connections(tcp_listener& from, clock::duration limit, task<void> serving) {
  return drain_socket(from, limit, std::move(serving));
}

}  // namespace uring6::inline v0::detail
