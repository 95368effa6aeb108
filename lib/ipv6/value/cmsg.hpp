// Control bytes: a bounds-checked reader and writer, and the decoder that runs once for each received buffer. Every
// length is checked, because the CMSG_ macros check none, and liburing's have read past the end.
#pragma once

#include <linux/time_types.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <cassert>

#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <type_traits>

#include "uring6/address.hpp"
#include "uring6/control_message.hpp"

namespace uring6::inline v0 {

/// One control message, in place.
struct cmsg_view {
  int level;
  int type;
  std::span<const std::byte> data;

  /// Reads the value at the beginning of the data. False: the data are too short, and `value` is unchanged.
  template <class T>
  bool read(T& value) const noexcept {
    if (data.size() < sizeof(T)) return false;
    std::memcpy(&value, data.data(), sizeof(T));
    return true;
  }
};

/// Reads control messages one after the other, at any alignment.
class cmsg_reader {
 public:
  explicit cmsg_reader(std::span<const std::byte> area) noexcept : at_(area.data()), left_(area.size()) {}

  /// Reads the next control message. False at the end, and at a malformed message, behind which nothing is read.
  bool next(cmsg_view& view) noexcept {
    if (left_ < sizeof(cmsghdr)) return false;
    cmsghdr front;
    std::memcpy(&front, at_, sizeof front);
    const std::size_t length = front.cmsg_len;
    if (length < sizeof front || length > left_) {
      malformed_ = true;
      left_ = 0;
      return false;
    }
    view = {front.cmsg_level, front.cmsg_type, {at_ + sizeof front, length - sizeof front}};
    const std::size_t step = cmsg::space(length - sizeof front);
    // The last control message may lack its padding.
    assert(step >= length && "a step is at least a header: the walk ends");
    const std::size_t taken = step < left_ ? step : left_;
    at_ += taken;
    left_ -= taken;
    return true;
  }

  /// Reads the next control message if it has this level and type, and exactly the length of the value. Else false, and
  /// the reader stays before it.
  template <class T>
  bool next_is(int level, int type, T& value) noexcept {
    constexpr std::size_t space = cmsg::space(sizeof(T));
    if (left_ < space) return false;
    cmsghdr front;
    std::memcpy(&front, at_, sizeof front);
    if (front.cmsg_len != sizeof front + sizeof(T) || front.cmsg_level != level || front.cmsg_type != type)
      return false;
    std::memcpy(&value, at_ + sizeof front, sizeof(T));
    at_ += space;
    left_ -= space;
    return true;
  }

  /// The bytes that are not read yet.
  std::span<const std::byte> rest() const noexcept { return {at_, left_}; }

  /// Did the reader stop at a message with an impossible length?
  bool malformed() const noexcept { return malformed_; }

 private:
  const std::byte* at_;
  std::size_t left_;
  bool malformed_ = false;
};

/// Appends control messages to an area. Zeroes the padding, because the kernel copies it, too.
class cmsg_writer {
 public:
  explicit cmsg_writer(std::span<std::byte> area) noexcept : area_(area) {}

  /// Appends a message. False: it does not fit, and nothing was written.
  template <class T>
  bool append(int level, int type, const T& value) noexcept {
    constexpr std::size_t space = cmsg::space(sizeof(T));
    assert(size_ <= area_.size() && size_ % alignof(cmsghdr) == 0 && "control messages are aligned to one another");
    if (area_.size() - size_ < space) return false;
    cmsghdr front{};
    front.cmsg_len = sizeof front + sizeof(T);
    front.cmsg_level = level;
    front.cmsg_type = type;
    std::byte* const at = area_.data() + size_;
    std::memcpy(at, &front, sizeof front);
    std::memcpy(at + sizeof front, &value, sizeof(T));
    std::memset(at + sizeof front + sizeof(T), 0, space - sizeof front - sizeof(T));
    size_ += space;
    return true;
  }

  /// Bytes written so far: `msg_controllen`.
  std::size_t size() const noexcept { return size_; }

 private:
  std::span<std::byte> area_;
  std::size_t size_ = 0;
};

/// The control data that the library asks of the kernel for its own use.
struct received_extras {
  std::uint32_t gro_segment_size = 0;  ///< 0: a single datagram. Else octets of each datagram but the last. UDP_GRO
};

/// All control data of a received buffer.
struct received_control : received_extras {
  control_message message;
};

namespace cmsg_detail {

// The level and the type as one number, so that one switch tells all control messages apart.
constexpr std::uint64_t key(int level, int type) noexcept {
  return static_cast<std::uint64_t>(static_cast<std::uint32_t>(level)) << 32 | static_cast<std::uint32_t>(type);
}

inline void set_octet(std::optional<int>& field, int value) noexcept {
  if (value >= 0 && value <= 255) field = value;
}

inline void set_octet(std::optional<int>& field, const cmsg_view& view) noexcept {
  if (int value; view.read(value)) set_octet(field, value);
}

inline void set_interface(std::optional<std::uint32_t>& field, std::uint32_t index) noexcept {
  if (index != 0 && index <= std::numeric_limits<std::int32_t>::max()) field = index;
}

inline void set_time(std::optional<std::chrono::sys_time<std::chrono::nanoseconds>>& field,
                     const cmsg_view& view) noexcept {
  constexpr std::int64_t second = 1'000'000'000;
  __kernel_timespec at;
  if (!view.read(at) || at.tv_sec < 0 || at.tv_sec >= std::numeric_limits<std::int64_t>::max() / second) return;
  if (at.tv_nsec < 0 || at.tv_nsec >= second) return;
  field.emplace(std::chrono::nanoseconds(at.tv_sec * second + at.tv_nsec));
}

inline ip_address address_of(const in6_addr& address) noexcept {
  return ip_address(std::bit_cast<ip_address::bytes_type>(address));
}

inline void set_arrival(control_message& message, const in6_pktinfo& info) noexcept {
  message.destination = address_of(info.ipi6_addr);
  set_interface(message.interface_index, info.ipi6_ifindex);
}

/// Clears field by field. Assigning a new control_message would cost as much as decoding (GCC 12 emits `rep stos` for
/// it). A field that is added does not compile until it is cleared here, so no value of an earlier datagram shows.
inline void clear(control_message& message) noexcept {
  static_assert(std::is_trivially_destructible_v<control_message>);
  auto& [traffic_class, hop_limit, interface_index, path_mtu, source, destination, next_hop, received_at] = message;
  std::construct_at(&traffic_class);
  std::construct_at(&hop_limit);
  std::construct_at(&interface_index);
  std::construct_at(&path_mtu);
  std::construct_at(&source);
  std::construct_at(&destination);
  std::construct_at(&next_hop);
  std::construct_at(&received_at);
}

inline void decode_one(const cmsg_view& view, control_message& message, received_extras& extras) noexcept {
  switch (key(view.level, view.type)) {
    case key(IPPROTO_IPV6, IPV6_PKTINFO):
      if (in6_pktinfo info; view.read(info)) set_arrival(message, info);
      break;
    case key(IPPROTO_IPV6, IPV6_HOPLIMIT):
    case key(IPPROTO_IP, IP_TTL):
      set_octet(message.hop_limit, view);
      break;
    case key(IPPROTO_IPV6, IPV6_TCLASS):
      set_octet(message.traffic_class, view);
      break;
    case key(IPPROTO_UDP, UDP_GRO):
      if (int size; view.read(size) && size > 0 && size <= 0xffff) {
        extras.gro_segment_size = static_cast<std::uint32_t>(size);
      }
      break;
    case key(IPPROTO_IPV6, IPV6_PATHMTU):
      if (ip6_mtuinfo info; view.read(info)) {
        message.destination = address_of(info.ip6m_addr.sin6_addr);
        set_interface(message.interface_index, info.ip6m_addr.sin6_scope_id);
        message.path_mtu = info.ip6m_mtu;
      }
      break;
    case key(SOL_SOCKET, SO_TIMESTAMPNS_NEW):
    case key(SOL_SOCKET, SO_TIMESTAMPNS_OLD):  // short where its seconds have 32 bits
      set_time(message.received_at, view);
      break;
    case key(IPPROTO_IP, IP_TOS):
      // The kernel delivers one byte here, where IPV6_TCLASS is an int.
      if (std::uint8_t tos; view.read(tos)) message.traffic_class = tos;
      break;
    case key(IPPROTO_IP, IP_PKTINFO):
      if (in_pktinfo info; view.read(info)) {
        message.destination = ip_address::v4_mapped(std::bit_cast<ip_address::v4_bytes_type>(info.ipi_addr));
        set_interface(message.interface_index, static_cast<std::uint32_t>(info.ipi_ifindex));
      }
      break;
    default:
      break;
  }
}

/// Decodes any control messages in any order. False if they are malformed. Not inlined, so that the fast path before it
/// saves no registers.
[[gnu::noinline]] inline bool decode_rest(std::span<const std::byte> area, control_message& message,
                                          received_extras& extras) noexcept {
  cmsg_reader reader(area);
  for (cmsg_view view; reader.next(view);) decode_one(view, message, extras);
  return !reader.malformed();
}

}  // namespace cmsg_detail

/// Reads the control bytes of one received buffer into `message` and `extras`, which are cleared first. Stops at
/// malformed bytes and returns false; the messages before them count.
inline bool decode_received(std::span<const std::byte> area, control_message& message,
                            received_extras& extras) noexcept {
  cmsg_detail::clear(message);
  extras = {};
  cmsg_reader reader(area);
  // The fast path: nearly every datagram has these messages and no others, in the order in which the kernel writes
  // them.
  if (in6_pktinfo info; reader.next_is(IPPROTO_IPV6, IPV6_PKTINFO, info)) cmsg_detail::set_arrival(message, info);
  int octet = 0;
  if (reader.next_is(IPPROTO_IPV6, IPV6_HOPLIMIT, octet)) cmsg_detail::set_octet(message.hop_limit, octet);
  if (reader.next_is(IPPROTO_IPV6, IPV6_TCLASS, octet)) cmsg_detail::set_octet(message.traffic_class, octet);
  return reader.rest().empty() || cmsg_detail::decode_rest(reader.rest(), message, extras);
}

inline bool decode_received(std::span<const std::byte> area, received_control& out) noexcept {
  return decode_received(area, out.message, out);
}

}  // namespace uring6::inline v0
