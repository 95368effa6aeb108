#include "harness/peers/traffic.hpp"

#include <algorithm>
#include <array>
#include <cerrno>

namespace bench {
namespace {

constexpr std::size_t most_singles = 64;
constexpr std::size_t most_segments = 128;            // UDP_MAX_SEGMENTS
constexpr std::size_t most_train_bytes = 65'535 - 8;  // the longest IPv6 payload, without the UDP header

/// Sends `size` bytes to `port`, cut every `segment` bytes.
ssize_t send_train(int fd, std::uint16_t port, std::byte* bytes, std::size_t size, std::size_t segment) {
  sockaddr_in6 to = loopback(port);
  iovec vector{bytes, size};
  alignas(cmsghdr) std::array<std::byte, segment_room> room{};
  msghdr message{.msg_name = &to,
                 .msg_namelen = sizeof to,
                 .msg_iov = &vector,
                 .msg_iovlen = 1,
                 .msg_control = nullptr,
                 .msg_controllen = 0,
                 .msg_flags = 0};
  if (size > segment) {
    message.msg_control = room.data();
    message.msg_controllen = room.size();
    write_segment(*CMSG_FIRSTHDR(&message), static_cast<std::uint16_t>(segment));
  }
  return ::sendmsg(fd, &message, 0);
}

}  // namespace

feeder::feeder(std::size_t size) : size_(size), socket_(open_socket()), room_(size * most_segments) {
  set_option(fd(), IPPROTO_IPV6, IPV6_TCLASS, sent_traffic_class);
  set_option(fd(), IPPROTO_IPV6, IPV6_UNICAST_HOPS, sent_hop_limit);
  for (std::size_t i = 0; i < most_segments; ++i) write_pattern(room_.data() + i * size, size);
}

void feeder::send_singly(std::uint16_t port, std::uint64_t count) {
  sockaddr_in6 to = loopback(port);
  std::array<iovec, most_singles> vectors;
  std::array<mmsghdr, most_singles> messages{};
  for (std::uint64_t left = count; left > 0;) {
    const std::size_t now = std::min<std::uint64_t>(left, most_singles);
    for (std::size_t i = 0; i < now; ++i) {
      vectors[i] = {room_.data() + i * size_, size_};
      write_stamp(room_.data() + i * size_, size_, sequence_ + i);
      messages[i].msg_hdr = {.msg_name = &to,
                             .msg_namelen = sizeof to,
                             .msg_iov = &vectors[i],
                             .msg_iovlen = 1,
                             .msg_control = nullptr,
                             .msg_controllen = 0,
                             .msg_flags = 0};
    }
    const int sent = check(::sendmmsg(fd(), messages.data(), static_cast<unsigned>(now), 0), "sendmmsg");
    sequence_ += static_cast<std::uint64_t>(sent);
    left -= static_cast<std::uint64_t>(sent);
  }
}

void feeder::send_trains(std::uint16_t port, std::uint64_t count, std::uint64_t segments) {
  for (std::uint64_t left = count; left > 0;) {
    const std::size_t now = std::min(left, segments);
    for (std::size_t i = 0; i < now; ++i) write_stamp(room_.data() + i * size_, size_, sequence_ + i);
    check(send_train(fd(), port, room_.data(), now * size_, size_), "sendmsg of a train");
    sequence_ += now;
    left -= now;
  }
}

void feeder::send_one(const in6_addr& address, std::uint16_t port) {
  sockaddr_in6 to = loopback(port);
  to.sin6_addr = address;
  write_stamp(room_.data(), size_, sequence_++);
  check(::sendto(fd(), room_.data(), size_, 0, reinterpret_cast<const sockaddr*>(&to), sizeof to),
        "sendto an address of bench/growth");
}

std::uint64_t longest_train(std::size_t size) {
  const descriptor fd = open_socket();
  const std::uint16_t nobody_reads = port_of(fd.get());
  std::vector<std::byte> bytes(most_train_bytes);
  for (const std::size_t segments : {most_segments, most_segments / 2}) {
    const std::size_t fitting = std::min(segments, most_train_bytes / size);
    if (send_train(fd.get(), nobody_reads, bytes.data(), fitting * size, size) > 0) return fitting;
  }
  return 1;
}

sink::sink(std::size_t sockets) {
  for (std::size_t i = 0; i < sockets; ++i) {
    sockets_.push_back(open_socket(SOCK_NONBLOCK));
    set_option(sockets_.back().get(), SOL_UDP, UDP_GRO, 1);
  }
}

std::vector<std::uint16_t> sink::ports() const {
  std::vector<std::uint16_t> ports;
  for (const auto& s : sockets_) ports.push_back(port_of(s.get()));
  return ports;
}

void sink::empty() {
  for (const auto& s : sockets_) {
    while (take_buffer(s.get(), room_, seen_)) {
    }
  }
}

std::optional<read_buffer> read_one_buffer(int fd, std::vector<std::byte>& room) {
  iovec vector{room.data(), room.size()};
  alignas(cmsghdr) std::array<std::byte, control_room> area;
  msghdr message{.msg_name = nullptr,
                 .msg_namelen = 0,
                 .msg_iov = &vector,
                 .msg_iovlen = 1,
                 .msg_control = area.data(),
                 .msg_controllen = area.size(),
                 .msg_flags = 0};
  const auto size = ::recvmsg(fd, &message, MSG_DONTWAIT);
  if (size < 0 && errno == EAGAIN) return std::nullopt;
  check(size, "recvmsg");
  return read_buffer{static_cast<std::size_t>(size), static_cast<std::size_t>(parse_control(message).segment)};
}

bool take_buffer(int fd, std::vector<std::byte>& room, tally& seen) {
  const auto got = read_one_buffer(fd, room);
  if (got) seen.take_train(room.data(), got->size, got->segment);
  return got.has_value();
}

}  // namespace bench
