#include "harness/peers/upstream.hpp"

#include <array>
#include <cerrno>

#include "common/forward.hpp"
#include "common/payload.hpp"
#include "harness/peers/answer_deadline.hpp"

namespace bench {

upstream::upstream() : socket_(open_socket(SOCK_NONBLOCK)) {}

std::uint64_t upstream::take(std::uint64_t count, std::size_t size, std::chrono::milliseconds most) {
  taken_.clear();
  std::vector<bool> seen(1u << 16);
  std::array<std::byte, largest_payload> room;
  std::uint64_t bad = 0;
  for (answer_deadline left(most); taken_.size() < count;) {
    query next{};
    socklen_t length = sizeof next.from;
    const auto got =
        ::recvfrom(socket_.get(), room.data(), room.size(), 0, reinterpret_cast<sockaddr*>(&next.from), &length);
    if (got < 0 && errno == EAGAIN) {
      if (!left.wait(socket_.get())) return bad;
      continue;
    }
    left.renew();
    next.octets.assign(room.begin(), room.begin() + check(got, "recvfrom"));
    tally one;
    if (next.octets.size() == size) one.take(next.octets.data() + id_size, size - id_size);
    const bool good = one.datagrams == 1 && one.bad == 0 && !seen[read_id(next.octets.data())];
    if (good) seen[read_id(next.octets.data())] = true;
    bad += good ? 0 : 1;
    taken_.push_back(std::move(next));
  }
  return bad;
}

void upstream::answer() {
  for (const query& each : taken_) {
    const auto* const to = reinterpret_cast<const sockaddr*>(&each.from);
    check(::sendto(socket_.get(), each.octets.data(), each.octets.size(), 0, to, sizeof each.from), "sendto");
  }
}

}  // namespace bench
