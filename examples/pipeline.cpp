// One task reads datagrams, four count their words, one adds. The channels between them bound the memory. An empty
// datagram ends it.
//
//     pipeline [::1]:7777
#include <uring6/uring6.hpp>

#include <algorithm>
#include <array>
#include <string>
#include <utility>

namespace u6 = uring6;

u6::task<> read(u6::packet_conn pc, u6::channel<std::string>& work) {
  std::array<std::byte, 2048> buffer;
  for (;;) {
    const auto got = co_await pc.read_from(buffer);
    if (!got && u6::is_transient(got.error())) continue;
    if (!got || got->payload.empty()) break;
    std::string text(reinterpret_cast<const char*>(got->payload.data()), got->payload.size());
    const auto taken = co_await work.send(std::move(text));
    if (!taken) break;
  }
  work.close();
}

u6::task<> count(u6::channel<std::string>& work, u6::channel<std::size_t>& sums) {
  for (;;) {
    const auto text = co_await work.receive();
    if (!text) co_return;
    const auto words = static_cast<std::size_t>(std::count(text->begin(), text->end(), ' ')) + 1;
    (void)co_await sums.send(words);
  }
}

u6::task<std::size_t> add(u6::channel<std::size_t>& sums) {
  for (std::size_t all = 0;;) {
    const auto one = co_await sums.receive();
    if (!one) co_return all;
    all += *one;
  }
}

u6::task<> run(u6::packet_conn pc) {
  u6::channel<std::string> work(64);
  u6::channel<std::size_t> sums(64);
  const auto count_all = [&]() -> u6::task<> {
    u6::scope workers;
    for (int i = 0; i < 4; ++i) workers.spawn(count(work, sums));
    co_await workers.join();
    sums.close();
  };
  const auto all = co_await u6::when_all(read(std::move(pc), work), count_all(), add(sums));
  fmt::print("{} words\n", std::get<2>(all));
}

int main(int argc, char** argv) try {
  u6::event_loop loop;
  loop.run(run(u6::or_throw(u6::listen_packet(loop, "udp6", argc > 1 ? argv[1] : "[::1]:7777"))));
} catch (const std::system_error& failed) {
  fmt::print(stderr, "pipeline: {}\n", failed.what());
  return 1;
}
