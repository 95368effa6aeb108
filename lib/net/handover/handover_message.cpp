#include "net/handover/handover_message.hpp"

#include <cassert>
#include <cerrno>
#include <chrono>

#include "uring/buffer_pool.hpp"

namespace uring6::inline v0::detail {
namespace {

constexpr std::uint32_t magic = 0x75'36'68'6f;  // "u6ho"

// The fields of a control message that are given.
constexpr unsigned has_traffic_class = 1;
constexpr unsigned has_hop_limit = 2;
constexpr unsigned has_interface = 4;
constexpr unsigned has_path_mtu = 8;
constexpr unsigned has_source = 16;
constexpr unsigned has_destination = 32;
constexpr unsigned has_next_hop = 64;
constexpr unsigned has_time = 128;

constexpr unsigned is_truncated = 1;
constexpr unsigned is_control_truncated = 2;

constexpr unsigned if_given(bool given, unsigned bit) noexcept {
  return given ? bit : 0;
}

void write_address(wire::writer& to, const ip_address& address) {
  to.address(address);
  to.u32(address.zone());
}
ip_address read_address(wire::reader& from) noexcept {
  const ip_address address = from.address();
  return address.with_zone(from.u32());
}

void write_endpoint(wire::writer& to, const endpoint& end) {
  write_address(to, end.address);
  to.u16(end.port);
}
endpoint read_endpoint(wire::reader& from) noexcept {
  const ip_address address = read_address(from);
  return {address, from.u16()};
}

// The structured binding does not compile when a field is added: it has to go along then.
void write_control(wire::writer& to, const control_message& what) {
  const auto& [traffic_class, hop_limit, interface_index, path_mtu, source, destination, next_hop, received_at] = what;
  to.u8(if_given(traffic_class.has_value(), has_traffic_class) | if_given(hop_limit.has_value(), has_hop_limit) |
        if_given(interface_index.has_value(), has_interface) | if_given(path_mtu.has_value(), has_path_mtu) |
        if_given(source.has_value(), has_source) | if_given(destination.has_value(), has_destination) |
        if_given(next_hop.has_value(), has_next_hop) | if_given(received_at.has_value(), has_time));
  if (traffic_class) to.u32(static_cast<std::uint32_t>(*traffic_class));
  if (hop_limit) to.u32(static_cast<std::uint32_t>(*hop_limit));
  if (interface_index) to.u32(*interface_index);
  if (path_mtu) to.u32(*path_mtu);
  if (source) write_address(to, *source);
  if (destination) write_address(to, *destination);
  if (next_hop) write_address(to, *next_hop);
  if (received_at) {
    const auto time = static_cast<std::uint64_t>(received_at->time_since_epoch().count());
    to.u32(static_cast<std::uint32_t>(time >> 32));
    to.u32(static_cast<std::uint32_t>(time & 0xffff'ffff));
  }
}

control_message read_control(wire::reader& from) noexcept {
  control_message what;
  const unsigned given = from.u8();
  if (given & has_traffic_class) what.traffic_class = static_cast<int>(from.u32());
  if (given & has_hop_limit) what.hop_limit = static_cast<int>(from.u32());
  if (given & has_interface) what.interface_index = from.u32();
  if (given & has_path_mtu) what.path_mtu = from.u32();
  if (given & has_source) what.source = read_address(from);
  if (given & has_destination) what.destination = read_address(from);
  if (given & has_next_hop) what.next_hop = read_address(from);
  if (given & has_time) {
    const std::uint64_t high = from.u32();
    const auto time = static_cast<std::int64_t>(high << 32 | from.u32());
    what.received_at.emplace(std::chrono::nanoseconds(time));
  }
  return what;
}

}  // namespace

void write_head(wire::writer& to, handover_kind kind) {
  to.u32(magic);
  to.u16(handover_version);
  to.u16(static_cast<unsigned>(kind));
}

void write_short(wire::writer& to, handover_kind kind, std::uint32_t value) {
  write_head(to, kind);
  to.u32(value);
}

void write_socket(wire::writer& to, const offered_head& what) {
  assert(what.name.size() <= longest_handover_name);
  write_head(to, handover_kind::socket);
  to.u8(what.listener ? 1 : 0);
  to.u8(what.peer ? 1 : 0);
  to.u32(what.datagrams);
  to.u32(what.kernel_drops);
  if (what.peer) write_endpoint(to, *what.peer);
  to.u8(static_cast<unsigned>(what.name.size()));
  to.copy(std::as_bytes(std::span(what.name)));
}

void write_datagram(wire::writer& to, const kept_datagram& what) {
  const auto& [payload, control, source, truncated, control_truncated, full_length] = what;
  to.u8(if_given(truncated, is_truncated) | if_given(control_truncated, is_control_truncated));
  to.u32(static_cast<std::uint32_t>(full_length));
  write_endpoint(to, source);
  write_control(to, control);
  to.u32(static_cast<std::uint32_t>(payload.size()));
  to.copy(payload);
}

std::optional<handover_view> read_message(wire::bytes octets) noexcept {
  wire::reader from(octets);
  const bool ours = from.u32() == magic;
  const std::uint16_t version = from.u16();
  const std::uint16_t kind = from.u16();
  if (!ours || !from.ok()) return std::nullopt;
  return handover_view{version, static_cast<handover_kind>(kind), from.rest()};
}

std::optional<std::uint32_t> read_short(wire::bytes body) noexcept {
  wire::reader from(body);
  const std::uint32_t value = from.u32();
  if (!from.ok() || !from.empty()) return std::nullopt;
  return value;
}

std::optional<offered_head> read_socket(wire::bytes body) {
  wire::reader from(body);
  offered_head what;
  const std::uint8_t listener = from.u8();
  const std::uint8_t has_peer = from.u8();
  what.listener = listener == 1;
  what.datagrams = from.u32();
  what.kernel_drops = from.u32();
  if (has_peer == 1) what.peer = read_endpoint(from);
  const wire::bytes name = from.take(from.u8());
  what.name.assign(reinterpret_cast<const char*>(name.data()), name.size());
  if (!from.ok() || !from.empty() || listener > 1 || has_peer > 1) return std::nullopt;
  if (what.listener && what.datagrams > 0) return std::nullopt;
  return what;
}

std::optional<kept_datagram> read_datagram(wire::reader& from) {
  kept_datagram what;
  const unsigned flags = from.u8();
  what.truncated = flags & is_truncated;
  what.control_truncated = flags & is_control_truncated;
  what.full_length = from.u32();
  what.source = read_endpoint(from);
  what.control = read_control(from);
  const std::uint32_t size = from.u32();
  if (size > buffer_layout::longest_datagram || size > what.full_length) return std::nullopt;
  const wire::bytes payload = from.take(size);
  if (!from.ok()) return std::nullopt;
  what.payload.assign(payload.begin(), payload.end());
  return what;
}

std::uint32_t wire_error(const std::error_code& error) noexcept {
  if (error.category() == std::system_category()) return static_cast<std::uint32_t>(error.value());
  const std::error_condition nearest = error.default_error_condition();
  const bool known = nearest.category() == std::generic_category() && nearest.value() > 0;
  return static_cast<std::uint32_t>(known ? nearest.value() : EPROTO);
}

std::error_code error_of_wire(std::uint32_t number) noexcept {
  const bool possible = number > 0 && number <= 4095;  // the kernel's MAX_ERRNO
  return {possible ? static_cast<int>(number) : EPROTO, std::system_category()};
}

}  // namespace uring6::inline v0::detail
