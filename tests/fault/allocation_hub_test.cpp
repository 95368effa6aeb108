// Each operator new of a datagram_hub fails once: the call gives an error or throws std::bad_alloc, or the datagrams
// are missed and counted; nothing hangs or leaks, and the loop works on.
#include <catch2/catch_test_macros.hpp>
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

task<> receive(subscription& of, std::error_code& end) {
  const auto got = co_await of.receive();
  if (!got && !end) end = got.error();  // the conn's, which is between the datagrams, or the end of the run
}

task<> until_one_is_missed(const subscription& of) {
  const auto stop = co_await this_task::stop_token();
  while (of.stats().missed == 0 && !stop.stop_requested()) co_await yield();
}

TEST_CASE("a hub without memory gives an error, or counts what its subscription missed") {
  need_ipv6();
  sweep_allocations("datagram_hub", [](event_loop& loop, memory_shortage& memory) -> task<std::error_code> {
    auto pc = open_conn(loop);
    const endpoint self = name_of(pc);
    const auto sent = co_await pc.write_to(as_payload("shared"), self);
    if (!sent) co_return sent.error();
    memory.begin();
    datagram_hub hub(loop, pc);
    auto mine = hub.subscribe();
    if (!mine) co_return mine.error();
    std::error_code end;
    (void)co_await when_any(run(hub, end), receive(*mine, end), until_one_is_missed(*mine));
    memory.end();
    if (mine->stats().missed == 1) co_return make_error_code(std::errc::not_enough_memory);
    if (end == std::errc::not_enough_memory) co_return end;
    if (mine->stats().datagrams != 1) co_return make_error_code(std::errc::no_message);
    co_return std::error_code();
  });
}

}  // namespace
