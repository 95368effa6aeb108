#include "uring6/icmp/option.hpp"

#include <cassert>
#include <limits>
#include <optional>
#include <variant>

#include "ipv6/icmp/icmp_codec.hpp"

namespace uring6::inline v0::icmp {
namespace codec {
namespace {

constexpr std::size_t option_unit = 8;
constexpr std::size_t max_option = 255 * option_unit;
constexpr unsigned on_link_flag = 0x80, autonomous_flag = 0x40, router_address_flag = 0x20;
constexpr unsigned max_prefix_length = 128;
constexpr std::int64_t max_lifetime = std::numeric_limits<std::uint32_t>::max();
constexpr std::size_t octets_per_server = sizeof(ip_address::bytes_type);

// --- reading the bytes behind type and length. A result of nothing: the option does not have the form of its type.

std::optional<option> read_prefix(bytes data) noexcept {
  wire::reader in(data);
  prefix_information prefix{.prefix_length = in.u8()};
  const std::uint8_t flags = in.u8();
  prefix.on_link = (flags & on_link_flag) != 0;
  prefix.autonomous = (flags & autonomous_flag) != 0;
  prefix.router_address = (flags & router_address_flag) != 0;
  prefix.valid_lifetime = std::chrono::seconds(in.u32());
  prefix.preferred_lifetime = std::chrono::seconds(in.u32());
  in.skip(4);
  prefix.prefix = in.address();
  if (!in.ok() || !in.empty() || prefix.prefix_length > max_prefix_length) return std::nullopt;
  return prefix;
}

std::optional<option> read_mtu(bytes data) noexcept {
  wire::reader in(data);
  in.skip(2);
  const link_mtu mtu{in.u32()};
  if (!in.ok() || !in.empty()) return std::nullopt;
  return mtu;
}

std::optional<option> read_redirected(bytes data) noexcept {
  assert(data.size() >= 6 && "an option has at least eight octets");
  return redirected_header{data.subspan(6)};
}

std::optional<option> read_servers(bytes data) noexcept {
  wire::reader in(data);
  in.skip(2);
  const std::chrono::seconds lifetime(in.u32());
  const bytes servers = in.rest();
  if (servers.empty() || servers.size() % octets_per_server != 0) return std::nullopt;
  return recursive_dns_servers{lifetime, list<ip_address>::in_packet(servers)};
}

// The bytes of the names before the padding. A zero byte in the place of a name begins the padding.
std::optional<bytes> names_in(bytes area) noexcept {
  std::size_t size = 0;
  while (size < area.size() && area[size] != std::byte{0}) {
    const auto name = domain_name::decode(area.subspan(size));
    if (!name) return std::nullopt;
    size += name->wire().size();
  }
  return area.first(size);
}

std::optional<option> read_domains(bytes data) noexcept {
  wire::reader in(data);
  in.skip(2);
  const std::chrono::seconds lifetime(in.u32());
  const auto names = names_in(in.rest());
  if (!names || names->empty()) return std::nullopt;
  return dns_search_list{lifetime, list<domain_name>::in_packet(*names)};
}

std::optional<option> read_option(option_type type, bytes data) noexcept {
  switch (type) {
    case option_type::source_link_layer_address:
      return source_link_layer_address{data};
    case option_type::target_link_layer_address:
      return target_link_layer_address{data};
    case option_type::prefix_information:
      return read_prefix(data);
    case option_type::redirected_header:
      return read_redirected(data);
    case option_type::mtu:
      return read_mtu(data);
    case option_type::recursive_dns_servers:
      return read_servers(data);
    case option_type::dns_search_list:
      return read_domains(data);
    default:
      return std::nullopt;
  }
}

// --- writing

class option_writer {
 public:
  explicit option_writer(wire::writer& out) noexcept : out_(out) {}

  result<void> operator()(const raw_option& one) const noexcept {
    if ((one.data.size() + 2) % option_unit != 0) return fail(errc::out_of_range);
    return framed(one.type, [&] { out_.copy(one.data); });
  }

  template <option_type Type>
  result<void> operator()(const link_layer_address<Type>& one) const noexcept {
    if (one.address.empty()) return fail(errc::out_of_range);
    return framed(Type, [&] { out_.copy(one.address); });
  }

  result<void> operator()(const prefix_information& one) const noexcept {
    if (one.prefix_length > max_prefix_length || !fits(one.valid_lifetime, max_lifetime) ||
        !fits(one.preferred_lifetime, max_lifetime))
      return fail(errc::out_of_range);
    return framed(one.type, [&] {
      out_.u8(one.prefix_length);
      out_.u8((one.on_link ? on_link_flag : 0) | (one.autonomous ? autonomous_flag : 0) |
              (one.router_address ? router_address_flag : 0));
      write_lifetime(one.valid_lifetime);
      write_lifetime(one.preferred_lifetime);
      out_.u32(0);
      out_.address(one.prefix);
    });
  }

  result<void> operator()(const redirected_header& one) const noexcept {
    return framed(one.type, [&] {
      out_.zeros(6);
      out_.copy(one.data);
    });
  }

  result<void> operator()(const link_mtu& one) const noexcept {
    return framed(one.type, [&] {
      out_.u16(0);
      out_.u32(one.mtu);
    });
  }

  result<void> operator()(const recursive_dns_servers& one) const noexcept {
    if (one.servers.empty() || !fits(one.lifetime, max_lifetime)) return fail(errc::out_of_range);
    return framed(one.type, [&] {
      out_.u16(0);
      write_lifetime(one.lifetime);
      for (const ip_address& server : one.servers) out_.address(server);
    });
  }

  result<void> operator()(const dns_search_list& one) const noexcept {
    if (one.domains.empty() || !fits(one.lifetime, max_lifetime)) return fail(errc::out_of_range);
    return framed(one.type, [&] {
      out_.u16(0);
      write_lifetime(one.lifetime);
      for (const domain_name& domain : one.domains) out_.copy(domain.wire());
    });
  }

 private:
  // Writes type and length, calls `write_data`, and pads.
  template <class WriteData>
  result<void> framed(option_type type, const WriteData& write_data) const noexcept {
    const std::size_t start = out_.position();
    out_.u8(static_cast<std::uint8_t>(type));
    out_.u8(0);
    write_data();
    out_.pad(start, option_unit);
    const std::size_t size = out_.position() - start;
    if (size > max_option) return fail(errc::too_long);
    assert(size > 0 || !out_.size());
    out_.set8(start + 1, static_cast<unsigned>(size / option_unit));
    return {};
  }

  void write_lifetime(std::chrono::seconds lifetime) const noexcept {
    out_.u32(static_cast<std::uint32_t>(lifetime.count()));
  }

  wire::writer& out_;
};

}  // namespace

result<list<option>> read_options(bytes area) noexcept {
  for (bytes left = area; !left.empty();) {
    const std::size_t size = detail::element<option>::size(left);
    if (size == 0) return fail(errc::malformed);
    left = left.subspan(size);
  }
  return list<option>::in_packet(area);
}

result<void> write_options(wire::writer& out, const list<option>& options) noexcept {
  for (const option& one : options) {
    if (auto written = std::visit(option_writer(out), one); !written) return written;
  }
  return {};
}

}  // namespace codec

namespace detail {

std::size_t element<option>::size(std::span<const std::byte> rest) noexcept {
  if (rest.size() < codec::option_unit) return 0;
  const std::size_t size = wire::load8(rest, 1) * codec::option_unit;
  return size <= rest.size() ? size : 0;
}

option element<option>::read(std::span<const std::byte> bytes) noexcept {
  assert(size(bytes) == bytes.size() && "`size` has measured the option");
  const auto type = static_cast<option_type>(wire::load8(bytes));
  const auto data = bytes.subspan(2);
  if (const auto known = codec::read_option(type, data)) return *known;
  return raw_option{type, data};
}

}  // namespace detail
}  // namespace uring6::inline v0::icmp
