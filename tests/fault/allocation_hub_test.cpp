// Each operator new of a datagram_hub fails once: the call gives an error or throws std::bad_alloc, or the datagrams
// are missed and counted; nothing hangs or leaks, and the loop works on.
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <cstdint>
#include <system_error>

#include "support/machine/environment.hpp"
#include "support/machine/memory_shortage.hpp"
#include "uring6/datagram_hub.hpp"
#include "uring6/this_task.hpp"
#include "uring6/when_any.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

task<> run(datagram_hub& hub, std::error_code& end) {
  const auto done = co_await hub.run();
  if (!done && !end) end = done.error();
}

task<> receive(subscription& of, std::error_code& end, std::uint64_t& missed_before) {
  const auto got = co_await of.receive();
  if (got) missed_before = got->missed();
  if (!got && !end) end = got.error();  // the conn's, which is between the datagrams, or the end of the run
}

std::uint64_t missed(const subscription& of) {
  return of.stats().missed + of.stats().missed_errors;
}

task<> until_one_is_missed(const subscription& of) {
  const std::uint64_t before = missed(of);
  const auto stop = co_await this_task::stop_token();
  while (missed(of) == before && !stop.stop_requested()) co_await yield();
}

/// Runs the hub until its subscription has received or missed one.
task<std::error_code> run_for_one(datagram_hub& hub, subscription& of, std::uint64_t& missed_before) {
  std::error_code end;
  (void)co_await when_any(run(hub, end), receive(of, end, missed_before), until_one_is_missed(of));
  co_return end;
}

/// The sweep sees what a hub misses without memory, not only what it throws.
int times_missed = 0;

/// Whether the hub goes on with memory, and the next batch tells of the datagram that was missed before it.
task<bool> next_batch_tells(datagram_hub& hub, packet_conn& pc, subscription& of) {
  const endpoint self = name_of(pc);
  const auto sent = co_await pc.write_to(as_payload("next"), self);
  std::uint64_t missed_before = 0;
  (void)co_await run_for_one(hub, of, missed_before);
  co_return sent&& missed_before == 1;
}

/// A hub that is made and runs without memory. In its conn waits a datagram, or the error `wanted`.
task<std::error_code> run_in_shortage(event_loop& loop, packet_conn& pc, memory_shortage& memory,
                                      std::error_code wanted) {
  memory.begin();
  datagram_hub hub(loop, pc);
  auto mine = hub.subscribe();
  if (!mine) co_return mine.error();
  std::uint64_t missed_before = 0;
  const std::error_code end = co_await run_for_one(hub, *mine, missed_before);
  memory.end();
  if (missed(*mine) == 1) {
    ++times_missed;
    bool told = bool(wanted);
    if (!told) told = co_await next_batch_tells(hub, pc, *mine);
    co_return make_error_code(told ? std::errc::not_enough_memory : std::errc::no_message);
  }
  if (end == std::errc::not_enough_memory) co_return end;
  const bool received = wanted ? end == wanted : mine->stats().datagrams == 1;
  co_return received ? std::error_code() : make_error_code(std::errc::no_message);
}

TEST_CASE("a hub without memory gives an error, or counts the datagram that its subscription missed, and tells it") {
  need_ipv6();
  times_missed = 0;
  sweep_allocations("datagram_hub", [](event_loop& loop, memory_shortage& memory) -> task<std::error_code> {
    auto pc = open_conn(loop);
    const endpoint self = name_of(pc);
    const auto sent = co_await pc.write_to(as_payload("shared"), self);
    if (!sent) co_return sent.error();
    const std::error_code none;
    co_return co_await run_in_shortage(loop, pc, memory, none);
  });
  CHECK(times_missed > 0);
}

TEST_CASE("a hub without memory counts the error of the conn that its subscription missed") {
  need_ipv6();
  times_missed = 0;
  sweep_allocations("datagram_hub, an error", [](event_loop& loop, memory_shortage& memory) -> task<std::error_code> {
    auto peer = open_conn(loop);
    auto pc = dial(loop, name_of(peer));
    or_throw(peer.close());
    const auto sent = co_await pc.write(as_payload("refused"));
    if (!sent) co_return sent.error();
    const std::error_code refused{ECONNREFUSED, std::system_category()};
    co_return co_await run_in_shortage(loop, pc, memory, refused);
  });
  CHECK(times_missed > 0);
}

}  // namespace
