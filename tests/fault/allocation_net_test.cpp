// Each operator new of the operations of sockets fails once: the call gives an error or throws std::bad_alloc, nothing
// hangs, ends the program or is leaked, and the loop works on.
#include <sys/socket.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <new>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <utility>
#include <vector>

#include "support/machine/environment.hpp"
#include "support/machine/memory_shortage.hpp"
#include "support/traffic/streams.hpp"
#include "uring6/datagram_batch.hpp"
#include "uring6/group_keeper.hpp"
#include "uring6/interface.hpp"
#include "uring6/interface_monitor.hpp"
#include "uring6/listen_group.hpp"
#include "uring6/loop_group.hpp"
#include "uring6/memory_link.hpp"
#include "uring6/scope.hpp"
#include "uring6/tcp.hpp"
#include "uring6/this_task.hpp"
#include "uring6/when_all.hpp"
#include "uring6/when_any.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using namespace std::chrono_literals;

TEST_CASE("opening a conn without memory is an error, and leaves no descriptor") {
  need_ipv6();
  sweep_allocations("listen_packet", [](event_loop& loop, memory_shortage& memory) -> task<std::error_code> {
    memory.begin();
    const auto opened = listen_packet(loop, "udp6", "[::1]:0", {.longest_datagram = 100, .zero_copy_from = 1'000});
    memory.end();
    co_return opened ? std::error_code() : opened.error();
  });
  sweep_allocations("dial_packet", [](event_loop& loop, memory_shortage& memory) -> task<std::error_code> {
    memory.begin();
    const auto opened = dial_packet(loop, "udp6", "[::1]:9");
    memory.end();
    co_return opened ? std::error_code() : opened.error();
  });
}

TEST_CASE("options and interfaces without memory are an error") {
  need_ipv6();
  sweep_allocations("options", [](event_loop& loop, memory_shortage& memory) -> task<std::error_code> {
    auto pc = open_conn(loop);
    memory.begin();
    const auto lo = interface::by_name("lo");
    std::error_code error = lo ? std::error_code() : lo.error();
    if (const auto all = interface::all_addresses(); !error && !all) error = all.error();
    if (const auto all = interface::all_groups(); !error && !all) error = all.error();
    if (const auto set = pc.set_control_message(all_control, true); !error && !set) error = set.error();
    const bpf::program program{bpf::ret_constant{0xffff}};
    if (const auto set = pc.attach_bpf(program); !error && !set) error = set.error();
    if (const auto set = pc.set_deadline(std::chrono::steady_clock::now() + 1h); !error && !set) error = set.error();
    memory.end();
    co_return error;
  });
}

TEST_CASE("a monitor of the network and a kept membership without memory give an error, and go on with memory") {
  need_ipv6();
  sweep_allocations("interface_monitor", [](event_loop& loop, memory_shortage& memory) -> task<std::error_code> {
    memory.begin();
    auto monitor = interface_monitor::open(loop);
    if (!monitor) co_return monitor.error();
    std::error_code error;
    for (bool all = false; !all && !error;) {
      const auto got = co_await monitor->next();
      if (got) all = got->what == interface_change::synchronized;
      if (!got) error = got.error();
    }
    memory.end();
    // The listing that was given up is made again.
    for (bool all = !error; !all;) {
      const auto got = co_await monitor->next();
      if (!got) co_return got.error();
      all = got->what == interface_change::synchronized;
    }
    if (monitor->interfaces() != or_throw(interface::all())) co_return make_error_code(std::errc::no_such_device);
    co_return error;
  });
  sweep_allocations("group_keeper", [](event_loop& loop, memory_shortage& memory) -> task<std::error_code> {
    auto pc = open_conn(loop);
    const ip_address group = or_throw(ip_address::parse("ff01::114"));
    const source_filter some{.mode = filter_mode::include, .sources = {ip_address::loopback()}};
    memory.begin();
    auto keeper = group_keeper::open(loop, pc);
    if (!keeper) co_return keeper.error();
    const auto kept = keeper->keep("lo", group, some);
    memory.end();
    if (kept && !keeper->memberships().front().joined) co_return make_error_code(std::errc::not_connected);
    if (!kept && !keeper->memberships().empty()) co_return make_error_code(std::errc::is_a_directory);
    co_return kept ? std::error_code() : kept.error();
  });
}

TEST_CASE("the first write and the first read of a loop without memory for them give an error") {
  need_ipv6();
  sweep_allocations("write_to", [](event_loop& loop, memory_shortage& memory) -> task<std::error_code> {
    auto pc = open_conn(loop);
    const endpoint self = name_of(pc);
    memory.begin();
    const auto sent = co_await pc.write_to(as_payload("first"), {.hop_limit = 7}, self);
    memory.end();
    co_return sent ? std::error_code() : sent.error();
  });
  sweep_allocations("read_from", [](event_loop& loop, memory_shortage& memory) -> task<std::error_code> {
    auto pc = open_conn(loop);
    const endpoint self = name_of(pc);
    const auto sent = co_await pc.write_to(as_payload("first"), self);
    std::array<std::byte, 64> buffer;
    memory.begin();
    const auto got = co_await pc.read_from(buffer);
    memory.end();
    co_return sent&& got ? std::error_code() : got.error();
  });
  sweep_allocations("receive", [](event_loop& loop, memory_shortage& memory) -> task<std::error_code> {
    auto pc = open_conn(loop, {.receive_offload = false, .longest_datagram = 100});
    const endpoint self = name_of(pc);
    for (int i = 0; i < 100; ++i) {
      const auto sent = co_await pc.write_to(as_payload(i % 2 == 0 ? "" : "odd"), self);
      if (!sent) co_return sent.error();
    }
    datagram_batch batch;
    std::size_t count = 0;
    memory.begin();
    while (count < 100) {
      const auto got = co_await pc.receive(batch);
      if (!got) co_return got.error();
      count += *got;
    }
    memory.end();
    co_return std::error_code();
  });
}

TEST_CASE("a memory_link without memory gives an error, and carries no datagram by halves") {
  need_ipv6();
  sweep_allocations("memory_link", [](event_loop& loop, memory_shortage& memory) -> task<std::error_code> {
    memory.begin();
    memory_link link(loop, {.delay = 1ms, .duplication = 1});
    auto one = link.bind("[2001:db8:1:2:3:4:5:6]:7");
    if (!one) co_return one.error();
    const auto set = one->set_deadline(this_task::now() + 1h);
    if (!set) co_return set.error();
    const endpoint self = or_throw(one->local_endpoint());
    const auto sent = co_await one->write_to("too long for a string without memory of its own", self);
    memory.end();
    if (link.stats().sent != (sent ? 1 : 0)) throw std::runtime_error("half of the datagram was sent");
    std::array<std::byte, 64> buffer;
    for (int copy = 0; sent && copy < 2; ++copy) {
      const auto got = co_await one->read_from(buffer);
      if (!got) co_return got.error();
    }
    co_return sent ? std::error_code() : sent.error();
  });
  sweep_allocations("memory_link read", [](event_loop& loop, memory_shortage& memory) -> task<std::error_code> {
    memory_link link(loop, {.delay = 1ms});
    auto one = or_throw(link.bind("[::1]:7"));
    const auto sent = co_await one.write_to("x", or_throw(one.local_endpoint()));
    std::array<std::byte, 64> buffer;
    memory.begin();
    const auto got = co_await one.read_from(buffer);
    memory.end();
    co_return sent&& got ? std::error_code() : got.error();
  });
}

/// The number of datagrams that a test below writes and reads, also when memory is short in between.
constexpr std::size_t datagrams_written = 20;

task<std::error_code> write_numbered(packet_conn& from, const endpoint& to) {
  for (std::size_t i = 0; i < datagrams_written; ++i) {
    const numbered text(i);
    const auto sent = co_await from.write_to(text, to);
    if (!sent) co_return sent.error();
  }
  co_return std::error_code();
}

/// Reads until nothing is left. Returns how many datagrams there were.
task<std::size_t> count_rest(packet_conn& pc) {
  std::array<std::byte, 64> buffer;
  read_slot room{buffer, {}};
  std::size_t count = 0;
  for (;; ++count) {
    const auto got = co_await pc.read_batch({&room, 1}, read_flags::dont_wait);
    if (!got) co_return count;
  }
}

/// The error for datagrams that are missing: the sweep expects no other error than one of memory.
std::error_code unless_all(std::size_t count, const std::error_code& otherwise) {
  return count == datagrams_written ? otherwise : make_error_code(std::errc::no_message);
}

/// Calls `f` while memory is short. std::bad_alloc becomes an error.
template <class F>
auto in_shortage(memory_shortage& memory, F f) -> decltype(f()) {
  memory.begin();
  try {
    auto made = f();
    memory.end();
    return made;
  } catch (const std::bad_alloc&) {
    memory.end();
    return fail(std::errc::not_enough_memory);
  }
}

/// A conn that has read ahead all that was written, and whose reader took the first datagram.
task<packet_conn> conn_with_backlog(event_loop& loop) {
  auto pc = open_conn(loop);
  auto from = open_conn(loop);
  const auto failed = co_await write_numbered(from, name_of(pc));
  if (failed) throw std::system_error(failed);
  std::array<std::byte, 64> buffer;
  const auto first = co_await pc.read_from(buffer);
  (void)or_throw(first);
  for (int i = 0; i < 3; ++i) co_await yield();
  co_return pc;
}

TEST_CASE("handing a conn over without memory is an error, and no datagram is lost") {
  need_ipv6();
  sweep_allocations("release", [](event_loop& loop, memory_shortage& memory) -> task<std::error_code> {
    auto pc = co_await conn_with_backlog(loop);
    const auto released = in_shortage(memory, [&] { return pc.release(); });
    if (released) pc = or_throw(adopt_packet(loop, *released));
    const std::size_t rest = co_await count_rest(pc);
    co_return unless_all(1 + rest, released ? std::error_code() : released.error());
  });
  sweep_allocations("adopt_packet(released)", [](event_loop& loop, memory_shortage& memory) -> task<std::error_code> {
    auto before = co_await conn_with_backlog(loop);
    const auto released = or_throw(before.release());
    if (released.datagrams.empty()) throw std::runtime_error("nothing was read ahead");
    auto adopted = in_shortage(memory, [&] { return adopt_packet(loop, released); });
    const std::error_code error = adopted ? std::error_code() : adopted.error();
    // After an error the caller still owns the descriptor and the datagrams.
    if (!adopted) adopted = adopt_packet(loop, released);
    const std::size_t rest = co_await count_rest(*adopted);
    co_return unless_all(1 + rest, error);
  });
}

/// Counts in `taken`, because the value of a task that loses a race is dropped.
task<std::size_t> read_one(packet_conn& pc, std::size_t& taken) {
  std::array<std::byte, 64> buffer;
  const auto got = co_await pc.read_from(buffer);
  if (got) ++taken;
  co_return got ? 1 : 0;
}

TEST_CASE("when_all and when_any of a vector of readers without memory throw, and no datagram is lost") {
  need_ipv6();
  sweep_allocations("when_all", [](event_loop& loop, memory_shortage& memory) -> task<std::error_code> {
    auto pc = open_conn(loop);
    const auto failed = co_await write_numbered(pc, name_of(pc));
    if (failed) co_return failed;
    std::error_code error;
    std::size_t taken = 0;
    memory.begin();
    try {
      std::size_t values = 0;
      std::vector<task<std::size_t>> readers;
      for (int i = 0; i < 10; ++i) readers.push_back(read_one(pc, taken));
      const auto got = co_await when_all(std::move(readers));
      for (const std::size_t each : got) values += each;
      if (values != taken) error = make_error_code(std::errc::no_message);
    } catch (const std::bad_alloc&) {
      error = make_error_code(std::errc::not_enough_memory);
    }
    memory.end();
    const std::size_t rest = co_await count_rest(pc);
    co_return unless_all(taken + rest, error);
  });
  sweep_allocations("when_any", [](event_loop& loop, memory_shortage& memory) -> task<std::error_code> {
    auto silent = open_conn(loop);
    auto pc = open_conn(loop);
    const auto failed = co_await write_numbered(silent, name_of(pc));
    if (failed) co_return failed;
    std::error_code error;
    std::size_t taken = 0;
    memory.begin();
    try {
      std::vector<task<std::size_t>> readers;
      for (int i = 0; i < 10; ++i) readers.push_back(read_one(i < 9 ? silent : pc, taken));
      (void)co_await when_any(std::move(readers));
    } catch (const std::bad_alloc&) {
      error = make_error_code(std::errc::not_enough_memory);
    }
    memory.end();
    const std::size_t rest = co_await count_rest(pc);
    co_return unless_all(taken + rest, error);
  });
}

task<std::error_code> write_many(event_loop& loop, memory_shortage& memory, const packet_options& options) {
  auto from = open_conn(loop, options);
  auto one = open_conn(loop);
  auto two = open_conn(loop);
  std::vector<write_slot> batch;
  for (int i = 0; i < 200; ++i) {
    batch.push_back({as_payload("datagram"), {}, name_of(i % 2 == 0 || i > 100 ? one : two), {}});
  }
  std::error_code error;
  memory.begin();
  const auto sent = co_await from.write_batch(batch);
  if (!sent) error = sent.error();
  for (const write_slot& each : batch) {
    if (!error && each.error) error = each.error;
  }
  const auto flushed = co_await from.flush();
  if (!error && !flushed) error = flushed.error();
  memory.end();
  co_return error;
}

TEST_CASE("a batch to many destinations without memory for its trains gives each unsent datagram an error") {
  need_ipv6();
  sweep_allocations("write_batch", [](event_loop& loop, memory_shortage& memory) -> task<std::error_code> {
    const packet_options options;
    const auto error = co_await write_many(loop, memory, options);
    co_return error;
  });
  sweep_allocations("coalesced", [](event_loop& loop, memory_shortage& memory) -> task<std::error_code> {
    const packet_options options{.coalesce_writes = true};
    const auto error = co_await write_many(loop, memory, options);
    co_return error;
  });
}

TEST_CASE("TCP without memory is an error at each of its steps") {
  need_ipv6();
  sweep_allocations("listen and accept", [](event_loop& loop, memory_shortage& memory) -> task<std::error_code> {
    memory.begin();
    auto listener = listen_tcp(loop, "tcp6", "[::1]:0");
    if (!listener) co_return listener.error();
    const file_descriptor client = plain_client(name_of(*listener));
    const auto accepted = co_await listener->accept();
    memory.end();
    co_return accepted ? std::error_code() : accepted.error();
  });
  sweep_allocations("dial", [](event_loop& loop, memory_shortage& memory) -> task<std::error_code> {
    auto listener = open_listener(loop);
    const std::array<endpoint, 3> addresses{endpoint{ip_address::loopback(), 9}, endpoint{ip_address::loopback(), 9},
                                            name_of(listener)};
    memory.begin();
    const auto dialed = co_await dial_tcp(loop, "tcp6", addresses);
    memory.end();
    co_return dialed ? std::error_code() : dialed.error();
  });
  sweep_allocations("dial by name", [](event_loop& loop, memory_shortage& memory) -> task<std::error_code> {
    auto listener = open_listener(loop);
    const std::string port = std::to_string(name_of(listener).port);
    memory.begin();
    const auto dialed = co_await dial_tcp(loop, "tcp6", "::1", port);
    memory.end();
    co_return dialed ? std::error_code() : dialed.error();
  });
  sweep_allocations("read and write", [](event_loop& loop, memory_shortage& memory) -> task<std::error_code> {
    auto both = co_await connect(loop);
    std::array<std::byte, 64> buffer;
    memory.begin();
    const auto written = co_await both.here.write(as_payload("octets"));
    const auto read = co_await both.there.read(buffer);
    memory.end();
    if (!written) co_return written.error();
    co_return read ? std::error_code() : read.error();
  });
}

/// So many at once that the accept queue has to grow.
task<std::error_code> many_accepts(event_loop& loop, memory_shortage& memory) {
  auto listener = open_listener(loop);
  std::vector<file_descriptor> clients;
  for (int i = 0; i < 300; ++i) clients.push_back(plain_client(name_of(listener)));
  memory.begin();
  const auto first = co_await listener.accept();
  for (int i = 0; i < 3; ++i) co_await yield();
  memory.end();
  co_return first ? std::error_code() : first.error();
}

TEST_CASE("connections without memory for them are closed, and the listener works on") {
  need_ipv6();
  sweep_allocations("300 at once", many_accepts);
}

TEST_CASE("a group of loops without memory throws, or its task ends with bad_alloc") {
  need_ipv6();
  sweep_allocations("loop_group", [](event_loop&, memory_shortage& memory) -> task<std::error_code> {
    memory.begin();
    loop_group group({.loops = 2, .pin = false});
    for (std::size_t i = 0; i < group.size(); ++i) {
      group.spawn_on(i, [i]() -> task<> {
        for (std::size_t turn = 0; turn < i; ++turn) co_await yield();
      });
    }
    (void)group.drain(60s);
    memory.end();
    co_return std::error_code();
  });
  sweep_allocations("listen_group", [](event_loop&, memory_shortage& memory) -> task<std::error_code> {
    loop_group group({.loops = 2, .pin = false});
    memory.begin();
    const auto opened = listen_group(group, "udp6", "[::1]:0", [](packet_conn pc) -> task<> {
      std::array<std::byte, 64> buffer;
      (void)co_await pc.read_from(buffer);
    });
    std::error_code error = opened ? std::error_code() : opened.error();
    (void)group.drain(60s);
    memory.end();
    co_return error;
  });
}

}  // namespace
