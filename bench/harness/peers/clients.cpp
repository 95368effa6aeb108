#include "harness/peers/clients.hpp"

#include <netinet/udp.h>

#include <algorithm>
#include <numeric>

#include "common/control.hpp"
#include "harness/peers/traffic.hpp"

namespace bench {

clients::clients(std::size_t count, std::shared_ptr<const exchange> what, bool takes_trains)
    : what_(std::move(what)), all_(count), order_(count) {
  std::iota(order_.begin(), order_.end(), 0);
  for (client& each : all_) {
    each.fd = open_socket(SOCK_NONBLOCK);
    set_option(each.fd.get(), IPPROTO_IPV6, IPV6_TCLASS, sent_traffic_class);
    set_option(each.fd.get(), IPPROTO_IPV6, IPV6_UNICAST_HOPS, sent_hop_limit);
    if (takes_trains) set_option(each.fd.get(), SOL_UDP, UDP_GRO, 1);
  }
}

void clients::ask(std::uint16_t port, std::uint64_t each) {
  std::shuffle(order_.begin(), order_.end(), random_);
  for (std::uint64_t turn = 0; turn < order_.size(); ++turn) {
    client& from = all_[order_[turn]];
    from.turn = turn;
    from.expected = 0;
    from.wanted = each;
  }
  const sockaddr_in6 to = loopback(port);
  first_ = next_;
  for (std::uint64_t i = 0; i < each; ++i) {
    for (const std::uint32_t which : order_) {
      const std::size_t size = what_->ask(question_, next_++);
      const auto* const name = reinterpret_cast<const sockaddr*>(&to);
      check(::sendto(all_[which].fd.get(), question_.data(), size, 0, name, sizeof to), "sendto");
    }
  }
}

void clients::collect(std::chrono::milliseconds most, idle meanwhile) {
  answer_deadline left(most, meanwhile);
  for (const std::uint32_t which : order_) {
    client& each = all_[which];
    while (each.wanted > 0) {
      if (const auto got = read_one_buffer(each.fd.get(), room_)) {
        take(each, got->size, got->segment);
        left.renew();
      } else if (!left.wait(each.fd.get())) {
        return;
      }
    }
  }
}

void clients::take(client& each, std::size_t size, std::size_t segment) {
  ++seen_.buffers;
  if (segment == 0) segment = size;
  for (std::size_t at = 0; at < size; at += segment) {
    const std::uint64_t number = first_ + each.expected++ * all_.size() + each.turn;
    ++seen_.datagrams;
    if (!what_->is_answer(std::span(room_).subspan(at, std::min(segment, size - at)), number)) ++seen_.bad;
    if (each.wanted > 0) --each.wanted;
  }
}

}  // namespace bench
