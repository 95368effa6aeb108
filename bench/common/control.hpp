// The control messages of the cases "with cm", and a subject's way of parsing them: as much as a user of uring6 gets.
#pragma once

#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "common/payload.hpp"
#include "common/socket.hpp"

namespace bench {

/// The harness sends this with every datagram, and a subject must find it.
constexpr int sent_traffic_class = 0x28;
constexpr int sent_hop_limit = 61;
constexpr unsigned loopback_index = 1;

/// The control message of one datagram, parsed.
struct control {
  in6_addr destination{};
  unsigned interface = 0;
  int traffic_class = -1;
  int hop_limit = -1;
  int segment = 0;  // UDP_GRO: the size that the train is cut by, 0 for a single datagram

  bool as_sent() const noexcept {
    return interface == loopback_index && traffic_class == sent_traffic_class && hop_limit == sent_hop_limit &&
           IN6_IS_ADDR_LOOPBACK(&destination);
  }
};

/// Room for PKTINFO, TCLASS, HOPLIMIT and UDP_GRO.
constexpr std::size_t control_room =
    CMSG_SPACE(sizeof(in6_pktinfo)) + CMSG_SPACE(sizeof(int)) * 2 + CMSG_SPACE(sizeof(int));

/// Room for UDP_SEGMENT.
constexpr std::size_t segment_room = CMSG_SPACE(sizeof(std::uint16_t));

/// The kernel cuts what is sent with this message every `octets`.
inline void write_segment(cmsghdr& c, std::uint16_t octets) noexcept {
  c.cmsg_level = SOL_UDP;
  c.cmsg_type = UDP_SEGMENT;
  c.cmsg_len = CMSG_LEN(sizeof octets);
  std::memcpy(CMSG_DATA(&c), &octets, sizeof octets);
}

inline void request_control(int fd) {
  set_option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
  set_option(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
  set_option(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1);
}

inline control parse_control(msghdr& message) noexcept {
  control parsed;
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
      in6_pktinfo info;
      std::memcpy(&info, CMSG_DATA(c), sizeof info);
      parsed.destination = info.ipi6_addr;
      parsed.interface = info.ipi6_ifindex;
    } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS) {
      std::memcpy(&parsed.traffic_class, CMSG_DATA(c), sizeof parsed.traffic_class);
    } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_HOPLIMIT) {
      std::memcpy(&parsed.hop_limit, CMSG_DATA(c), sizeof parsed.hop_limit);
    } else if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) {
      std::memcpy(&parsed.segment, CMSG_DATA(c), sizeof parsed.segment);
    }
  }
  return parsed;
}

}  // namespace bench
