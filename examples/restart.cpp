// A counter of samples that replaces itself while they come in: at SIGHUP it starts its own program anew, and gives it
// the socket with all that has arrived. SIGTERM ends it: what has arrived is counted first. A sample is eight octets, a
// number.
//
//     restart [::]:7777 &        kill -HUP PID: the new process writes its own
//
// Each process writes at its end what it has counted, so that the test knows that no sample was lost or came twice.
#include <fmt/core.h>
#include <uring6/uring6.hpp>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace u6 = uring6;
using namespace std::chrono_literals;
using std::chrono::steady_clock;

namespace {

struct counts {
  std::uint64_t samples = 0;
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  std::uint64_t out_of_order = 0;  // not greater than the one before: the sample came twice, or another overtook it
  steady_clock::time_point began{};
  steady_clock::time_point ended{};
  steady_clock::duration silence{};  // the longest time without a sample
};

void count(counts& into, std::span<const std::byte> sample, steady_clock::time_point now) {
  std::uint64_t number = 0;
  if (sample.size() != sizeof number) return;
  std::memcpy(&number, sample.data(), sizeof number);
  if (into.samples++ == 0) {
    into.first = number;
    into.began = now;
  } else {
    if (number <= into.last) ++into.out_of_order;
    into.silence = std::max(into.silence, now - into.ended);
  }
  into.last = number;
  into.ended = now;
}

u6::task<> count_samples(u6::packet_conn& pc, counts& into) {
  u6::datagram_batch batch;
  for (;;) {
    const auto got = co_await pc.receive(batch);
    if (!got && u6::is_transient(got.error())) continue;
    if (!got) co_return;  // handed over, or stopped and nothing is left
    const auto now = u6::this_task::now();
    for (const u6::datagram& each : batch) count(into, each.payload, now);
  }
}

/// The socket of the predecessor, of a service manager, or a new one.
u6::task<u6::packet_conn> open_samples(u6::event_loop& loop, const char* address) {
  // Room for what arrives while neither process reads.
  const u6::packet_options options{.receive_buffer = 256 << 20};
  for (const u6::inherited_socket& each : u6::or_throw(u6::listen_inherited())) {
    if (each.name != "handover") co_return u6::or_throw(u6::adopt_packet(loop, each.fd, options));
    auto taken = co_await u6::with_timeout(10s, u6::take_over(each.fd));
    u6::takeover all = u6::or_throw(std::move(taken));
    auto pc = u6::or_throw(all.adopt_packet(loop, "samples", options));
    u6::or_throw(all.confirm());
    co_return pc;
  }
  co_return u6::or_throw(u6::listen_packet(loop, "udp6", address, options));
}

/// True if a successor has the socket.
u6::task<bool> replace(u6::packet_conn& pc, const std::vector<std::string>& words) {
  auto next = u6::successor::start(words);
  if (!next) {
    fmt::print(stderr, "restart: {}\n", u6::fail(next).text());
    co_return false;
  }
  u6::handover over(next->channel());
  u6::or_throw(over.add("samples", pc));
  const auto gone = co_await u6::with_timeout(15s, over.send());
  if (gone) co_return true;
  fmt::print(stderr, "restart: {}\n", u6::fail(gone).text());
  next->end();
  co_return false;
}

void report(const counts& of) {
  const auto ms = [](auto time) { return std::chrono::duration<double, std::milli>(time).count(); };
  fmt::print(
      "process {} counted {} from {} to {}, {} out of order, between {:.3f} ms and {:.3f} ms, silent for "
      "{:.3f} ms\n",
      ::getpid(), of.samples, of.first, of.last, of.out_of_order, ms(of.began.time_since_epoch()),
      ms(of.ended.time_since_epoch()), ms(of.silence));
  std::fflush(stdout);
}

u6::task<> serve(u6::event_loop& loop, u6::signals& wanted, const std::vector<std::string>& words) {
  auto pc = co_await open_samples(loop, words[1].c_str());
  fmt::print("process {} serves\n", ::getpid());
  std::fflush(stdout);
  counts all;
  u6::scope work;
  work.spawn(u6::drain_on_stop(pc, 5s, count_samples(pc, all)));
  for (bool serves = true; serves;) {
    const auto got = co_await wanted.next();
    if (got && got->number == SIGHUP) {
      const bool replaced = co_await replace(pc, words);
      serves = !replaced;
    } else {
      serves = false;
    }
  }
  work.request_stop();
  co_await work.join();
  report(all);
  if (pc.stats().kernel_drops > 0) fmt::print("the kernel dropped {}\n", pc.stats().kernel_drops);
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 2) {
    fmt::print(stderr, "usage: restart ADDRESS\n");
    return 2;
  }
  u6::event_loop loop;
  u6::signals wanted(loop, {SIGHUP, SIGTERM, SIGINT});
  const std::vector<std::string> words(argv, argv + argc);
  loop.run(serve(loop, wanted, words));
} catch (const std::system_error& failed) {
  fmt::print(stderr, "restart: {}\n", failed.what());
  return 1;
}
