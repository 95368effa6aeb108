#include "harness/peers/ordered_sink.hpp"

#include <netinet/udp.h>

#include <algorithm>

#include "harness/peers/traffic.hpp"

namespace bench {

ordered_sink::ordered_sink(std::size_t peers) {
  for (std::size_t i = 0; i < peers; ++i) {
    sockets_.push_back({open_socket(SOCK_NONBLOCK), 0});
    set_option(sockets_.back().fd.get(), SOL_UDP, UDP_GRO, 1);
  }
}

std::vector<std::uint16_t> ordered_sink::ports() const {
  std::vector<std::uint16_t> ports;
  for (const auto& each : sockets_) ports.push_back(port_of(each.fd.get()));
  return ports;
}

void ordered_sink::empty() {
  for (auto& each : sockets_) {
    while (const auto got = read_one_buffer(each.fd.get(), room_)) {
      ++seen_.buffers;
      const std::size_t segment = got->segment == 0 ? got->size : got->segment;
      for (std::size_t at = 0; at < got->size; at += segment) {
        const std::uint64_t before = seen_.sequence_sum;
        seen_.take(room_.data() + at, std::min(segment, got->size - at));
        const std::uint64_t number = seen_.sequence_sum - before;
        if (number != each.next) ++seen_.bad;
        each.next = number + 1;
      }
    }
  }
}

}  // namespace bench
