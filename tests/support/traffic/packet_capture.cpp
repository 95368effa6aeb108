#include "support/traffic/packet_capture.hpp"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <system_error>

#include "sys/socket/socket.hpp"

namespace uring6::test {

packet_capture::packet_capture(const veth_end& end, std::uint16_t protocol) {
  const auto inside = end.space.enter();
  // Protocol 0 receives nothing; bind then sets protocol and device together, so that no other packet is captured
  // before.
  fd_ = or_throw(open_socket(AF_PACKET, SOCK_DGRAM));
  sockaddr_ll where{};
  where.sll_family = AF_PACKET;
  where.sll_protocol = htons(protocol);
  where.sll_ifindex = static_cast<int>(end.link.index);
  if (::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&where), sizeof where) != 0) {
    throw std::system_error(errno, std::system_category(), "bind(AF_PACKET)");
  }
}

std::optional<packet> packet_capture::next(std::chrono::steady_clock::time_point end) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
  pollfd readable{fd_.get(), POLLIN, 0};
  if (::poll(&readable, 1, static_cast<int>(std::max<long>(0, left.count()))) != 1) return std::nullopt;
  packet bytes(65536);
  const ssize_t size = ::recv(fd_.get(), bytes.data(), bytes.size(), 0);
  if (size < 0) throw std::system_error(errno, std::system_category(), "recv(AF_PACKET)");
  bytes.resize(static_cast<std::size_t>(size));
  return bytes;
}

}  // namespace uring6::test
