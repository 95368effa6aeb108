#include "uring6/icmp/multicast_listener.hpp"

#include <bit>
#include <cassert>
#include <limits>

#include "ipv6/icmp/icmp_codec.hpp"

namespace uring6::inline v0::icmp {
namespace codec {
namespace {

constexpr std::size_t address_size = sizeof(ip_address::bytes_type);
constexpr std::size_t record_header_size = 4 + address_size;
constexpr std::size_t max_count = std::numeric_limits<std::uint16_t>::max();
constexpr std::size_t max_auxiliary = 255 * 4;
constexpr unsigned suppress_flag = 0x08, max_robustness = 7;

// RFC 3810, 5.1.3 and 5.1.9: small values are encoded as themselves. Larger ones have the first bit set, then an
// exponent of three bits, then a mantissa without its leading one.
template <unsigned MantissaBits>
struct floating_code {
  static constexpr std::uint32_t first_float = 1u << (MantissaBits + 3);
  static constexpr std::uint32_t hidden_one = 1u << MantissaBits;
  static constexpr unsigned min_shift = 3, max_shift = 10;
  static constexpr std::int64_t max_value = std::int64_t{2 * hidden_one - 1} << max_shift;

  static constexpr std::int64_t decode(std::uint32_t code) noexcept {
    if (code < first_float) return code;
    const std::uint32_t mantissa = code & (hidden_one - 1);
    const std::uint32_t exponent = code >> MantissaBits & 7;
    return std::int64_t{mantissa | hidden_one} << (exponent + min_shift);
  }

  static result<std::uint32_t> encode(std::int64_t value) noexcept {
    if (value < 0 || value > max_value) return fail(errc::out_of_range);
    const auto wanted = static_cast<std::uint32_t>(value);
    if (wanted < first_float) return wanted;
    const auto shift = static_cast<unsigned>(std::bit_width(wanted)) - (MantissaBits + 1);
    assert(shift >= min_shift && shift <= max_shift && "the exponent has three bits");
    return first_float | (shift - min_shift) << MantissaBits | (wanted >> shift & (hidden_one - 1));
  }
};

using response_code = floating_code<12>;
using interval_code = floating_code<4>;

bool is_asked_about(const ip_address& group) noexcept {
  return group.is_multicast() || group == ip_address::any();
}

void write_addresses(wire::writer& out, const list<ip_address>& addresses) noexcept {
  for (const ip_address& address : addresses) out.address(address);
}

template <class Body>
bool may_be_group_of(const ip_address& group) noexcept {
  if constexpr (Body::type == icmp_type::multicast_listener_query) return is_asked_about(group);
  return group.is_multicast();
}

template <class Body>
result<Body> read_version1(bytes rest) noexcept {
  wire::reader in(rest);
  Body body{.max_response_delay = std::chrono::milliseconds(in.u16())};
  in.skip(2);
  body.group = in.address();
  if (!in.ok() || !may_be_group_of<Body>(body.group)) return fail(errc::malformed);
  return body;
}

template <class Body>
result<void> write_version1(wire::writer& out, const Body& body) noexcept {
  if (!fits(body.max_response_delay, std::numeric_limits<std::uint16_t>::max())) return fail(errc::out_of_range);
  if (!may_be_group_of<Body>(body.group)) return fail(errc::out_of_range);
  out.u16(static_cast<unsigned>(body.max_response_delay.count()));
  out.u16(0);
  out.address(body.group);
  return {};
}

result<void> write_record(wire::writer& out, const listener_record& record) noexcept {
  const std::size_t sources = record.sources.size();
  if (sources > max_count || record.auxiliary.size() > max_auxiliary) return fail(errc::too_long);
  if (record.auxiliary.size() % 4 != 0 || !record.group.is_multicast()) return fail(errc::out_of_range);
  out.u8(static_cast<std::uint8_t>(record.type));
  out.u8(static_cast<unsigned>(record.auxiliary.size() / 4));
  out.u16(static_cast<unsigned>(sources));
  out.address(record.group);
  write_addresses(out, record.sources);
  out.copy(record.auxiliary);
  return {};
}

}  // namespace

template <>
result<multicast_listener_query> read(std::uint8_t, bytes rest) noexcept {
  return read_version1<multicast_listener_query>(rest);
}

template <>
result<multicast_listener_report> read(std::uint8_t, bytes rest) noexcept {
  return read_version1<multicast_listener_report>(rest);
}

template <>
result<multicast_listener_done> read(std::uint8_t, bytes rest) noexcept {
  return read_version1<multicast_listener_done>(rest);
}

result<void> write(wire::writer& out, const multicast_listener_query& body) noexcept {
  return write_version1(out, body);
}

result<void> write(wire::writer& out, const multicast_listener_report& body) noexcept {
  return write_version1(out, body);
}

result<void> write(wire::writer& out, const multicast_listener_done& body) noexcept {
  return write_version1(out, body);
}

template <>
result<version2_multicast_listener_query> read(std::uint8_t, bytes rest) noexcept {
  wire::reader in(rest);
  version2_multicast_listener_query body{.max_response_code = in.u16()};
  in.skip(2);
  body.group = in.address();
  const std::uint8_t flags = in.u8();
  body.suppress_router_processing = (flags & suppress_flag) != 0;
  body.robustness = flags & max_robustness;
  body.query_interval_code = in.u8();
  const std::size_t sources = in.u16();
  body.sources = list<ip_address>::in_packet(in.take(sources * address_size));
  if (!in.ok() || !is_asked_about(body.group)) return fail(errc::malformed);
  return body;
}

result<void> write(wire::writer& out, const version2_multicast_listener_query& body) noexcept {
  const std::size_t sources = body.sources.size();
  if (sources > max_count) return fail(errc::too_long);
  if (body.robustness > max_robustness || !is_asked_about(body.group)) return fail(errc::out_of_range);
  out.u16(body.max_response_code);
  out.u16(0);
  out.address(body.group);
  out.u8((body.suppress_router_processing ? suppress_flag : 0) | body.robustness);
  out.u8(body.query_interval_code);
  out.u16(static_cast<unsigned>(sources));
  write_addresses(out, body.sources);
  return {};
}

template <>
result<version2_multicast_listener_report> read(std::uint8_t, bytes rest) noexcept {
  wire::reader in(rest);
  in.skip(2);
  const std::size_t count = in.u16();
  bytes left = in.rest();
  if (!in.ok()) return fail(errc::malformed);
  const bytes all = left;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t size = detail::element<listener_record>::size(left);
    if (size == 0 || !wire::load_address(left, 4).is_multicast()) return fail(errc::malformed);
    left = left.subspan(size);
  }
  return version2_multicast_listener_report{list<listener_record>::in_packet(all.first(all.size() - left.size()))};
}

result<void> write(wire::writer& out, const version2_multicast_listener_report& body) noexcept {
  const std::size_t count = body.records.size();
  if (count > max_count) return fail(errc::too_long);
  out.u16(0);
  out.u16(static_cast<unsigned>(count));
  for (const listener_record& record : body.records) {
    if (auto written = write_record(out, record); !written) return written;
  }
  return {};
}

}  // namespace codec

std::chrono::milliseconds version2_multicast_listener_query::max_response_delay() const noexcept {
  return std::chrono::milliseconds(codec::response_code::decode(max_response_code));
}

std::chrono::seconds version2_multicast_listener_query::query_interval() const noexcept {
  return std::chrono::seconds(codec::interval_code::decode(query_interval_code));
}

result<std::uint16_t> max_response_code(std::chrono::milliseconds delay) noexcept {
  return codec::response_code::encode(delay.count()).transform([](std::uint32_t code) {
    return static_cast<std::uint16_t>(code);
  });
}

result<std::uint8_t> query_interval_code(std::chrono::seconds interval) noexcept {
  return codec::interval_code::encode(interval.count()).transform([](std::uint32_t code) {
    return static_cast<std::uint8_t>(code);
  });
}

std::string_view to_string(record_type type) noexcept {
  switch (type) {
    case record_type::mode_is_include:
      return "mode is include";
    case record_type::mode_is_exclude:
      return "mode is exclude";
    case record_type::change_to_include:
      return "change to include";
    case record_type::change_to_exclude:
      return "change to exclude";
    case record_type::allow_new_sources:
      return "allow new sources";
    case record_type::block_old_sources:
      return "block old sources";
  }
  return {};
}

namespace detail {

std::size_t element<ip_address>::size(std::span<const std::byte> rest) noexcept {
  return rest.size() < codec::address_size ? 0 : codec::address_size;
}

ip_address element<ip_address>::read(std::span<const std::byte> bytes) noexcept {
  return wire::load_address(bytes);
}

std::size_t element<listener_record>::size(std::span<const std::byte> rest) noexcept {
  if (rest.size() < codec::record_header_size) return 0;
  const std::size_t auxiliary = std::size_t{wire::load8(rest, 1)} * 4;
  const std::size_t sources = std::size_t{wire::load16(rest, 2)} * codec::address_size;
  const std::size_t size = codec::record_header_size + sources + auxiliary;
  return size <= rest.size() ? size : 0;
}

listener_record element<listener_record>::read(std::span<const std::byte> bytes) noexcept {
  assert(size(bytes) == bytes.size() && "`size` has measured the record");
  const std::size_t sources = std::size_t{wire::load16(bytes, 2)} * codec::address_size;
  const auto behind_group = bytes.subspan(codec::record_header_size);
  return {.type = static_cast<record_type>(wire::load8(bytes)),
          .group = wire::load_address(bytes, 4),
          .sources = list<ip_address>::in_packet(behind_group.first(sources)),
          .auxiliary = behind_group.subspan(sources)};
}

}  // namespace detail
}  // namespace uring6::inline v0::icmp
