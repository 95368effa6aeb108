// A relay with fan-out: each datagram that arrives at the first address goes on to all the others, out of the buffer
// that the kernel filled, and a train goes on as a train. The receivers see the relay's address as the source. SIGTERM
// ends it when all that has arrived has gone on; the last line says what became of the datagrams.
//
//     relay [::]:7777 [::1]:7001 [::1]:7002 ...
#include <uring6/uring6.hpp>

#include <chrono>
#include <csignal>
#include <system_error>
#include <vector>

namespace u6 = uring6;
using namespace std::chrono_literals;

struct receiver {
  u6::endpoint at;
  std::error_code last{};  // why the latest datagram did not go there
};

/// Writes a line for each receiver whose error is a new one, and none for each datagram that an unreachable one misses.
void tell_errors(const std::vector<u6::write_slot>& written, std::vector<receiver>& receivers) {
  for (std::size_t i = 0; i < written.size(); ++i) {
    receiver& to = receivers[i % receivers.size()];
    if (written[i].error && written[i].error != to.last)
      fmt::print(stderr, "relay: {}: {}\n", to.at, written[i].error.message());
    to.last = written[i].error;
  }
}

/// Sends on what arrives, until a read ends.
u6::task<> relay(u6::packet_conn& pc, std::vector<receiver>& receivers) {
  u6::datagram_batch batch;
  std::vector<u6::write_slot> slots;
  for (;;) {
    const auto count = co_await pc.receive(batch);
    if (!count && u6::is_transient(count.error())) continue;
    if (!count) co_return;
    slots.clear();
    for (auto each = batch.begin(); each != batch.end(); each.next_train()) {
      // A single datagram has no segment, so that single ones to one receiver can leave as a train, too.
      const std::size_t length = each->payload.size();
      const bool is_train = each.train().size() > length;
      for (const receiver& to : receivers)
        slots.push_back({.payload = each.train(), .destination = to.at, .segment = is_train ? length : 0});
    }
    (void)co_await pc.write_batch(slots);  // each slot has its error
    tell_errors(slots, receivers);
  }
}

u6::task<> run(u6::packet_conn& pc, std::vector<receiver>& receivers, u6::signals& end) {
  u6::scope background;
  background.spawn(u6::drain_on_stop(pc, 5s, relay(pc, receivers)));
  (void)co_await end.next();
  background.request_stop();
  co_await background.join();
}

int main(int argc, char** argv) try {
  if (argc < 3) {
    fmt::print(stderr, "usage: relay ADDRESS RECEIVER...\n");
    return 2;
  }
  u6::event_loop loop;
  u6::signals end(loop, {SIGTERM, SIGINT});
  auto pc = u6::or_throw(u6::listen_packet(loop, "udp6", argv[1]));
  std::vector<receiver> receivers;
  for (int i = 2; i < argc; ++i) receivers.push_back({u6::or_throw(u6::endpoint::parse(argv[i]))});
  loop.run(run(pc, receivers, end));
  const u6::packet_stats all = pc.stats();
  fmt::print("{} received, {} sent on, {} not sent, {} dropped\n", all.received_datagrams, all.sent_datagrams,
             all.failed_datagrams, all.kernel_drops);
} catch (const std::system_error& failed) {
  fmt::print(stderr, "relay: {}\n", failed.what());
  return 1;
}
