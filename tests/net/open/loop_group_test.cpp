#include "uring6/loop_group.hpp"

#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include <array>
#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

#include "support/case/coroutines.hpp"
#include "support/case/eventually.hpp"
#include "support/machine/descriptors.hpp"
#include "support/machine/network_namespace.hpp"
#include "support/traffic/conns.hpp"
#include "support/traffic/plain_sender.hpp"
#include "uring6/channel.hpp"
#include "uring6/listen_group.hpp"
#include "uring6/run_blocking.hpp"
#include "uring6/timer.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using namespace std::chrono_literals;

/// Loops without a CPU of their own, so that any machine can have as many as the test wants.
loop_group_options unpinned(std::size_t loops) {
  return {.loops = loops, .pin = false};
}

std::vector<int> my_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  REQUIRE(::sched_getaffinity(0, sizeof set, &set) == 0);
  std::vector<int> all;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) all.push_back(cpu);
  }
  return all;
}

TEST_CASE("loop group: a loop for each CPU, pinned, without signals", "[threads]") {
  loop_group group;
  const std::vector<int> cpus = my_cpus();
  REQUIRE(group.size() == cpus.size());
  std::atomic<int> right{0};
  for (std::size_t i = 0; i < group.size(); ++i) {
    REQUIRE(group.cpus(i).size() == 1);
    CHECK(group.cpus(i)[0] == cpus[i]);
    group.post(i, [&, want = cpus[i]] {
      sigset_t blocked;
      ::pthread_sigmask(SIG_BLOCK, nullptr, &blocked);
      if (::sched_getcpu() == want && ::sigismember(&blocked, SIGTERM) == 1) ++right;
    });
  }
  CHECK(group.drain(10s));
  CHECK(right == static_cast<int>(cpus.size()));
}

TEST_CASE("loop group: impossible CPU sets are refused, and no thread stays", "[threads]") {
  CHECK_THROWS_AS(loop_group({.cpus = {{}}}), std::system_error);
  CHECK_THROWS_AS(loop_group({.cpus = {{-1}}}), std::system_error);
  CHECK_THROWS_AS(loop_group({.cpus = {{my_cpus().front()}, {CPU_SETSIZE - 1}}}), std::system_error);
  CHECK_THROWS_AS(loop_group({.loops = 1, .loop = {.budget = 0}}), std::system_error);
}

// The kernel pins to the existing CPUs of a set, and reports nothing about the others.
TEST_CASE("loop group: a set with an absent CPU is refused, and the error names that CPU", "[threads]") {
  constexpr int absent = CPU_SETSIZE - 1;
  const int mine = my_cpus().front();
  for (const std::vector<int>& set : {std::vector{mine, absent}, std::vector{absent, mine}, std::vector{absent}}) {
    std::error_code how;
    std::string text;
    try {
      const loop_group group({.cpus = {{mine}, set}});
    } catch (const std::system_error& error) {
      how = error.code();
      text = error.what();
    }
    CHECK(how == std::errc::invalid_argument);
    CHECK(text.find("CPU 1023 ") != text.npos);
  }
  // Without pinning a CPU of the set may be absent.
  CHECK_NOTHROW(loop_group({.cpus = {{mine, absent}}, .pin = false}));
}

TEST_CASE("loop group: tasks run on the loop that they were spawned for, and are waited for", "[threads]") {
  constexpr std::size_t loops = 3;
  const std::size_t before = open_descriptors();
  {
    loop_group group(unpinned(loops));
    std::array<std::atomic<std::thread::id>, loops> posted{};
    std::array<std::atomic<std::thread::id>, loops> spawned{};
    std::atomic<int> ended{0};
    for (std::size_t i = 0; i < loops; ++i) {
      group.post(i, [&, i] { posted[i] = std::this_thread::get_id(); });
      group.spawn_on(i, [&, i]() -> task<> {
        spawned[i] = std::this_thread::get_id();
        co_await sleep_for(5ms);
        ++ended;
      });
    }
    CHECK(group.drain(10s));
    CHECK(ended == loops);
    std::set<std::thread::id> different;
    for (std::size_t i = 0; i < loops; ++i) {
      CHECK(posted[i].load() == spawned[i].load());
      different.insert(posted[i].load());
    }
    CHECK(different.size() == loops);
    CHECK_FALSE(different.contains(std::this_thread::get_id()));
  }
  CHECK(open_descriptors() == before);
}

TEST_CASE("loop group: a drain without a limit, in any unit, stops no task", "[threads]") {
  const auto drained = [](auto limit) {
    loop_group group({.loops = 1, .pin = false});
    std::atomic<bool> whole{false};
    group.spawn_on(0, [&]() -> task<> {
      const auto slept = co_await sleep_for(20ms);
      whole = slept.has_value();
    });
    const bool in_time = group.drain(limit);
    return in_time && whole;
  };
  CHECK(drained(std::chrono::nanoseconds::max()));
  CHECK(drained(std::chrono::milliseconds::max()));
  CHECK(drained(std::chrono::hours::max()));
}

TEST_CASE("loop group: a drain ends listeners at once and others at the limit", "[threads]") {
  loop_group group(unpinned(2));
  std::atomic<int> listeners{0};
  std::atomic<int> begun{0};
  std::atomic<bool> worker_was_stopped{false};
  for (std::size_t i = 0; i < 2; ++i) {
    group.spawn_listener(i, [&]() -> task<> {
      ++begun;
      const auto slept = co_await sleep_for(1h);
      if (!slept && slept.error() == errc::canceled) ++listeners;
    });
  }
  group.spawn_on(0, [&]() -> task<> {
    ++begun;
    co_await until([&] { return listeners == 2; });  // the tasks still work when the listeners have ended
    const auto slept = co_await sleep_for(1h);
    worker_was_stopped = !slept;
  });
  REQUIRE(eventually([&] { return begun == 3; }));
  CHECK_FALSE(group.drain(50ms));
  CHECK(listeners == 2);
  CHECK(worker_was_stopped);
}

TEST_CASE("loop group: an exception stops all and comes out of the drain", "[threads]") {
  loop_group group(unpinned(2));
  std::atomic<bool> stopped{false};
  std::atomic<bool> begun{false};
  group.spawn_on(0, [&]() -> task<> {
    begun = true;
    const auto slept = co_await sleep_for(1h);
    stopped = !slept;
  });
  REQUIRE(eventually([&] { return begun.load(); }));
  group.spawn_on(1, [&]() -> task<> {
    co_await sleep_for(1ms);
    throw std::runtime_error("out of a task");
  });
  std::string what;
  try {
    group.drain(1h);
  } catch (const std::runtime_error& error) {
    what = error.what();
  }
  CHECK(what == "out of a task");
  CHECK(stopped);
  CHECK_FALSE(group.drain(0s));
}

TEST_CASE("loop group: a drain from inside of it is an error, from another loop it can be awaited", "[threads]") {
  loop_group group(unpinned(1));
  std::atomic<bool> refused{false};
  group.spawn_on(0, [&]() -> task<> {
    try {
      group.drain(1s);
    } catch (const std::system_error& error) {
      refused = error.code() == std::errc::resource_deadlock_would_occur;
    }
    co_return;
  });
  event_loop own;
  run(own, [&]() -> task<> {
    auto work = [&group] { return group.drain(10s); };
    const auto in_time = co_await run_blocking(work);
    CHECK(in_time == true);
  });
  CHECK(refused);
}

TEST_CASE("loop group: it can be destroyed with its tasks and with work that comes too late", "[threads]") {
  auto watched = std::make_shared<int>(0);
  {
    loop_group group(unpinned(2));
    group.spawn_on(0, [watched]() -> task<> { co_await sleep_for(1h); });
    group.drain(0s);
    group.spawn_on(1, [watched]() -> task<> { co_return; });
    group.post(1, [watched] {});
  }
  CHECK(watched.use_count() == 1);
  { loop_group never_used(unpinned(2)); }
}

TEST_CASE("loop group: loops hand work to each other through a channel", "[threads]") {
  constexpr int count = 2'000;
  loop_group group(unpinned(2));
  channel<int> numbers(16);
  std::atomic<long> sum{0};
  group.spawn_on(0, [&]() -> task<> {
    for (int i = 1; i <= count; ++i) {
      const auto sent = co_await numbers.send(i);
      if (!sent) co_return;
    }
    numbers.close();
  });
  group.spawn_on(1, [&]() -> task<> {
    for (;;) {
      const auto got = co_await numbers.receive();
      if (!got) co_return;
      sum += *got;
    }
  });
  CHECK(group.drain(30s));
  CHECK(sum == long{count} * (count + 1) / 2);
}

/// Counts the datagrams that each loop gets.
struct counting_group {
  explicit counting_group(const loop_group_options& options, const listen_group_options& how = {})
      : group(options), counts(group.size()) {
    auto count = [this](packet_conn pc, loop_place here) -> task<> {
      if (here.loop.core().get() != detail::current_loop()) co_return;
      std::array<std::byte, 64> buffer{};
      for (;;) {
        const auto got = co_await pc.read_from(buffer);
        if (!got) co_return;
        ++counts[here.index];
      }
    };
    where = or_throw(listen_group(group, "udp6", "[::1]:0", count, how));
  }
  long total() const {
    long sum = 0;
    for (const auto& each : counts) sum += each;
    return sum;
  }

  loop_group group;
  std::vector<std::atomic<long>> counts;
  endpoint where;
};

TEST_CASE("listen group: flows are spread over the loops, and each flow stays with its loop", "[threads]") {
  constexpr int flows = 64;
  counting_group all(unpinned(2));
  for (int i = 0; i < flows; ++i) {
    plain_sender flow(all.where);
    for (int n = 0; n < 3; ++n) flow.send("x");
  }
  REQUIRE(eventually([&] { return all.total() == flows * 3; }));
  for (const auto& each : all.counts) {
    CHECK(each > 0);  // a loop gets none by chance once in 2^63
    CHECK(each % 3 == 0);
  }
  CHECK(all.group.drain(10s));
}

TEST_CASE("listen group: a caller's program chooses the loop", "[threads]") {
  listen_group_options how;
  how.program = {bpf::ret_constant{1}};
  counting_group all(unpinned(3), how);
  for (int i = 0; i < 32; ++i) plain_sender(all.where).send("x");
  REQUIRE(eventually([&] { return all.total() == 32; }));
  CHECK(all.counts[1] == 32);
}

TEST_CASE("listen group: by CPU, a datagram goes to the loop of the CPU that handles it", "[threads]") {
  const std::vector<int> cpus = my_cpus();
  if (cpus.size() < 2) SKIP("needs two CPUs");
  listen_group_options how;
  how.by = steering::cpu;
  counting_group all({.cpus = {{cpus[0]}, {cpus[1]}}}, how);
  long expected = 0;
  for (std::size_t i = 0; i < 2; ++i) {
    // The kernel receives on loopback on the sender's CPU.
    std::jthread([&] {
      cpu_set_t set;
      CPU_ZERO(&set);
      CPU_SET(cpus[i], &set);
      ::pthread_setaffinity_np(::pthread_self(), sizeof set, &set);
      const file_descriptor out = or_throw(open_socket(AF_INET6, SOCK_DGRAM));
      or_throw(connect_socket(out.get(), all.where));
      for (int n = 0; n < 50; ++n) (void)!::send(out.get(), "x", 1, 0);
    }).join();
    expected += 50;
    REQUIRE(eventually([&] { return all.total() == expected; }));
    CHECK(all.counts[i] == 50);
  }
}

TEST_CASE("listen group: if one conn cannot be opened none stays open", "[threads]") {
  loop_group group(unpinned(2));
  const auto serve = [](packet_conn) -> task<> { co_return; };
  const std::size_t before = open_descriptors();
  CHECK(listen_group(group, "nonsense", "[::1]:0", serve).error() == errc::unknown_network);
  CHECK(listen_group(group, "udp6", "[2001:db8::1]:0", serve).error() == std::errc::address_not_available);
  listen_group_options bad;
  bad.program = {bpf::ret_a{}, bpf::jump{7}};
  CHECK_FALSE(listen_group(group, "udp6", "[::1]:0", serve, bad).has_value());
  CHECK(open_descriptors() == before);
  CHECK(group.drain(10s));
  CHECK(listen_group(group, "udp6", "[::1]:0", serve).error() == errc::closed);
}

TEST_CASE("a group of loops listens at a multicast address beside another listener, and refuses raw IP") {
  const network_namespace space;
  const network_namespace::visit inside(space);
  event_loop loop;
  const packet_conn other = or_throw(listen_packet(loop, "udp6", "[ff05::114]:7777"));
  loop_group group({.loops = 2, .cpus = {}, .pin = false, .loop = {}});
  const auto serve = [](packet_conn) -> task<> { co_return; };
  const auto where = listen_group(group, "udp6", "[ff05::114]:7777", serve);
  REQUIRE(where);
  CHECK(where->port == 7777);
  CHECK(listen_group(group, "ip6:253", "::1", serve).error() == std::errc::operation_not_supported);
}

}  // namespace
