// Reads, shares or writes datagrams of 64 octets over ::1, in one of eight ways, for bench/instructions to count what
// one costs.
//
// usage: bench-instructions read|receive|train|write DATAGRAMS     (a multiple of 100)
//        bench-instructions hub|hub-train DATAGRAMS                (to each of 64 subscriptions; a multiple of 100)
//        bench-instructions fan-batch|fan-ahead DATAGRAMS          (a multiple of 2,048)
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string_view>
#include <system_error>
#include <vector>

#include "uring6/uring6.hpp"

namespace {

using namespace uring6;

constexpr std::size_t octets = 64;    // of each datagram
constexpr std::size_t burst = 100;    // datagrams that wait in the socket before it is read
constexpr std::size_t in_train = 50;  // datagrams of one train
constexpr std::size_t peers = 64;     // that each packet goes to
constexpr std::size_t packets = 32;   // of one round

/// A plain socket whose datagrams go to the conn.
class source {
 public:
  source(const endpoint& to, bool trains) : each_(trains ? in_train : 1), fd_(::socket(AF_INET6, SOCK_DGRAM, 0)) {
    const sockaddr_in6 name = to.to_sockaddr();
    check(::connect(fd_, reinterpret_cast<const sockaddr*>(&name), sizeof name));
    const int segment = octets;
    if (trains) check(::setsockopt(fd_, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof segment));
  }

  void send_burst() const {
    static constexpr std::array<std::byte, octets * in_train> text{};
    for (std::size_t sent = 0; sent < burst; sent += each_)
      check(static_cast<int>(::send(fd_, text.data(), octets * each_, 0)));
  }

 private:
  static void check(int code) {
    if (code < 0) throw std::system_error(errno, std::system_category());
  }

  std::size_t each_;
  int fd_;
};

task<> read_bursts(packet_conn& at, const source& from, std::size_t count) {
  std::array<std::byte, 2048> buffer;
  for (std::size_t done = 0; done < count; ++done) {
    if (done % burst == 0) from.send_burst();
    const auto got = co_await at.read_from(buffer);
    or_throw(got);
  }
}

task<> receive_bursts(packet_conn& at, const source& from, std::size_t count) {
  datagram_batch lent;
  for (std::size_t done = 0; done < count;) {
    if (done % burst == 0) from.send_burst();
    const auto got = co_await at.receive(lent);
    done += or_throw(got);
  }
}

/// Takes the length of each datagram.
std::size_t octets_in(const shared_batch& batch) noexcept {
  std::size_t all = 0;
  for (const auto each : batch) all += each.payload().size();
  return all;
}

task<> take_all(subscription from, std::size_t& left, event& done) {
  for (;;) {
    const auto batch = co_await from.receive();
    if (!batch) co_return;
    left -= octets_in(*batch);
    if (left == 0) done.set();
  }
}

task<> share_bursts(event_loop& loop, packet_conn& at, const source& from, std::size_t count) {
  datagram_hub hub(loop, at);
  std::size_t left = 0;  // octets that subscriptions have not seen of this burst
  event done;
  scope all;
  for (std::size_t i = 0; i < peers; ++i) all.spawn(take_all(or_throw(hub.subscribe()), left, done));
  all.spawn(hub.run(), [](const result<void>&) {});
  for (std::size_t sent = 0; sent < count; sent += burst) {
    left = burst * octets * peers;
    done.reset();
    from.send_burst();
    const auto seen = co_await done.wait();
    or_throw(seen);
  }
  all.request_stop();
  co_await all.join();
}

task<> write_all(packet_conn& from, const endpoint& to, std::size_t count) {
  const std::array<std::byte, octets> text{};
  for (std::size_t done = 0; done < count; ++done) {
    const auto sent = co_await from.write_to(text, to);
    or_throw(sent);
  }
}

/// Sockets that nothing reads: the kernel drops what their buffers cannot take, and the sender hears nothing of it.
struct audience {
  explicit audience(event_loop& loop) {
    for (std::size_t i = 0; i < peers; ++i) {
      conns.push_back(or_throw(listen_packet(loop, "udp6", "[::1]:0")));
      at.push_back(or_throw(conns.back().local_endpoint()));
    }
  }

  std::vector<packet_conn> conns;
  std::vector<endpoint> at;
};

task<> write_batches(packet_conn& from, std::span<const endpoint> to, std::size_t count) {
  const std::array<std::byte, octets * packets> texts{};
  std::vector<write_slot> round(packets * peers);
  for (std::size_t done = 0; done < count; done += round.size()) {
    for (std::size_t i = 0; i < round.size(); ++i) {
      round[i].payload = std::span(texts).subspan(i / peers * octets, octets);
      round[i].destination = to[i % peers];
    }
    const auto sent = co_await from.write_batch(round);
    or_throw(sent);
  }
}

task<> write_ahead(packet_conn& from, std::span<const endpoint> to, std::size_t count) {
  const std::array<std::byte, octets * packets> texts{};
  for (std::size_t done = 0; done < count; done += packets * peers) {
    for (std::size_t i = 0; i < packets * peers; ++i) {
      const auto written = co_await from.write_to(std::span(texts).subspan(i / peers * octets, octets), to[i % peers]);
      or_throw(written);
    }
    const auto sent = co_await from.flush();
    or_throw(sent);
  }
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 3)
    return std::fputs(
               "usage: bench-instructions read|receive|train|write|hub|hub-train|"
               "fan-batch|fan-ahead DATAGRAMS\n",
               stderr),
           2;
  const std::string_view way = argv[1];
  const std::size_t count = std::strtoul(argv[2], nullptr, 10) / burst * burst;
  event_loop loop;
  const bool trains = way == "train" || way == "hub-train";
  const packet_options options{.receive_offload = trains, .coalesce_writes = way == "fan-ahead"};
  auto conn = or_throw(listen_packet(loop, "udp6", "[::1]:0", options));
  const endpoint self = or_throw(conn.local_endpoint());
  const source from(self, trains);
  if (way == "read" || way == "train") {
    loop.run(read_bursts(conn, from, count));
  } else if (way == "receive") {
    loop.run(receive_bursts(conn, from, count));
  } else if (way == "hub" || way == "hub-train") {
    loop.run(share_bursts(loop, conn, from, count));
  } else if (way == "write") {
    loop.run(write_all(conn, self, count));
  } else if (way == "fan-batch" || way == "fan-ahead") {
    const audience all(loop);
    loop.run(way == "fan-batch" ? write_batches(conn, all.at, count) : write_ahead(conn, all.at, count));
  } else {
    return 2;
  }
} catch (const std::exception& failed) {
  std::fprintf(stderr, "bench-instructions: %s\n", failed.what());
  return 1;
}
