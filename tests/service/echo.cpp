// A TCP echo server: two loops, a deadline for each client, statistics, an orderly end at SIGTERM.
#include <fmt/core.h>
#include <uring6/uring6.hpp>

#include <array>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <string>

namespace u6 = uring6;
using namespace std::chrono_literals;

namespace {

struct counters {
  std::atomic<std::uint64_t> open{0}, clients{0}, late{0}, bytes{0};
};

// A client that sends nothing, or reads nothing, for longer than this is disconnected.
constexpr auto patience = 300ms;

u6::task<> echo(u6::tcp_conn client, counters& count) {
  ++count.open;
  ++count.clients;
  std::array<std::byte, 4096> buffer;
  for (;;) {
    u6::or_throw(client.set_deadline(std::chrono::steady_clock::now() + patience));
    const auto got = co_await client.read(buffer);
    if (!got && got.error() == u6::errc::deadline_exceeded) ++count.late;
    if (!got || *got == 0) break;
    const auto sent = co_await client.write(std::span(buffer).first(*got));
    if (!sent) break;
  }
  count.bytes += client.stats().sent_bytes;
  --count.open;
}

u6::task<> accept(u6::loop_group& group, std::size_t index, std::string address, counters& count) {
  const u6::tcp_options shared{.reuse_port = true};
  auto listener = u6::or_throw(u6::listen_tcp(group[index], "tcp", address, shared));
  for (;;) {
    auto client = co_await listener.accept();
    if (!client && client.error() == u6::errc::canceled) co_return;
    if (!client) continue;
    group.spawn_on(index, [one = std::move(*client), &count]() mutable { return echo(std::move(one), count); });
  }
}

u6::task<> print(u6::event_loop& loop, std::size_t index, const counters& n) {
  u6::interval every(500ms);
  while (co_await every.tick()) {
    fmt::print("loop {}: {}\n", index, loop.stats());
    fmt::print("open {} clients {} late {} bytes {}\n", n.open.load(), n.clients.load(), n.late.load(), n.bytes.load());
    std::fflush(stdout);
  }
}

u6::task<> until_signal(u6::signals& stops) {
  (void)co_await stops.next();
}

}  // namespace

int main(int, char** arguments) {
  counters count;
  u6::event_loop loop;
  u6::signals stops(loop, {SIGINT, SIGTERM});
  u6::loop_group group({.loops = 2});
  for (std::size_t i = 0; i < group.size(); ++i) {
    group.spawn_listener(i, [&, i] { return accept(group, i, arguments[1], count); });
    group.spawn_listener(i, [&, i] { return print(group[i], i, count); });
  }
  loop.run(until_signal(stops));
  const bool orderly = group.drain(5s);
  fmt::print("end: open {} clients {} late {} bytes {}\n", count.open.load(), count.clients.load(), count.late.load(),
             count.bytes.load());
  return orderly && count.open == 0 ? 0 : 1;
}
