#include "uring6/icmp/extension.hpp"

#include <cassert>
#include <optional>
#include <variant>

#include "ipv6/icmp/icmp_codec.hpp"
#include "uring6/checksum.hpp"

namespace uring6::inline v0::icmp {
namespace codec {
namespace {

constexpr std::size_t object_header_size = 4;
constexpr std::size_t structure_header_size = 4;
constexpr unsigned structure_version = 2;
constexpr std::size_t max_object = 0xffff;

constexpr std::uint8_t class_mpls = 1, class_interface_info = 2, class_interface_ident = 3;
constexpr std::uint8_t type_incoming_stack = 1;
constexpr std::uint8_t type_by_name = 1, type_by_index = 2, type_by_address = 3;
// RFC 5837, 4.1: the bits of the C-Type of interface information name its parts, which follow in this order.
constexpr unsigned role_shift = 6, has_index = 0x08, has_address = 0x04, has_name = 0x02, has_mtu = 0x01;
constexpr std::size_t max_info_name = 63, max_ident_name = 255, max_ident_address = 255;
constexpr std::uint16_t family_ipv4 = 1, family_ipv6 = 2;

constexpr std::uint32_t max_label = 0xfffff;
constexpr unsigned max_traffic_class = 7;

constexpr std::size_t to_words(std::size_t size) noexcept {
  return (size + 3) / 4 * 4;
}

// --- reading. A result of nothing: the object does not have the form of its class.

std::optional<extension> read_mpls(std::uint8_t type, bytes data) noexcept {
  if (type != type_incoming_stack) return std::nullopt;
  return mpls_label_stack{list<mpls_label>::in_packet(data)};
}

std::optional<ip_address> read_info_address(wire::reader& in) noexcept {
  const std::uint16_t family = in.u16();
  in.skip(2);
  if (family == family_ipv6) return in.address();
  if (family != family_ipv4) return std::nullopt;
  ip_address::v4_bytes_type v4{};
  for (std::uint8_t& octet : v4) octet = in.u8();
  return ip_address::v4_mapped(v4);
}

std::optional<std::string_view> read_info_name(wire::reader& in) noexcept {
  const std::size_t length = in.u8();
  if (length == 0 || length % 4 != 0 || length > max_info_name + 1) return std::nullopt;
  return padded_text(in.take(length - 1));
}

std::optional<extension> read_info(std::uint8_t type, bytes data) noexcept {
  interface_info info{.role = static_cast<interface_role>(type >> role_shift)};
  wire::reader in(data);
  if ((type & has_index) != 0) info.index = in.u32();
  if ((type & has_address) != 0) {
    info.address = read_info_address(in);
    if (!info.address) return std::nullopt;
  }
  if ((type & has_name) != 0) {
    const auto name = read_info_name(in);
    if (!name) return std::nullopt;
    info.name = *name;
  }
  if ((type & has_mtu) != 0) info.mtu = in.u32();
  if (!in.ok()) return std::nullopt;
  return info;
}

std::optional<extension> read_ident(std::uint8_t type, bytes data) noexcept {
  wire::reader in(data);
  switch (type) {
    case type_by_name: {
      const std::string_view name = padded_text(data);
      if (name.empty() || name.size() > max_ident_name) return std::nullopt;
      return interface_ident{interface_by_name{name}};
    }
    case type_by_index: {
      if (data.size() != 4) return std::nullopt;
      return interface_ident{interface_by_index{in.u32()}};
    }
    case type_by_address: {
      interface_by_address by{.family = in.u16(), .address = {}};
      const std::size_t length = in.u8();
      in.skip(1);
      by.address = in.take(length);
      if (!in.ok()) return std::nullopt;
      return interface_ident{by};
    }
    default:
      return std::nullopt;
  }
}

std::optional<extension> read_object(std::uint8_t class_number, std::uint8_t type, bytes data) noexcept {
  switch (class_number) {
    case class_mpls:
      return read_mpls(type, data);
    case class_interface_info:
      return read_info(type, data);
    case class_interface_ident:
      return read_ident(type, data);
    default:
      return std::nullopt;
  }
}

// --- writing

class object_writer {
 public:
  explicit object_writer(wire::writer& out) noexcept : out_(out) {}

  result<void> operator()(const raw_extension& object) const noexcept {
    if (object.data.size() % 4 != 0) return fail(errc::out_of_range);
    const std::size_t start = begin(object.class_number, object.type);
    out_.copy(object.data);
    return end(start);
  }

  result<void> operator()(const mpls_label_stack& stack) const noexcept {
    const std::size_t start = begin(class_mpls, type_incoming_stack);
    for (const mpls_label& entry : stack.labels) {
      if (entry.label > max_label || entry.traffic_class > max_traffic_class) return fail(errc::out_of_range);
      out_.u32(entry.label << 12 | std::uint32_t{entry.traffic_class} << 9 | std::uint32_t{entry.bottom_of_stack} << 8 |
               entry.ttl);
    }
    return end(start);
  }

  result<void> operator()(const interface_info& info) const noexcept {
    if (info.role > interface_role::next_hop) return fail(errc::out_of_range);
    if (info.name.size() > max_info_name) return fail(errc::too_long);
    if (info.name.find('\0') != std::string_view::npos) return fail(errc::out_of_range);
    const unsigned type = static_cast<unsigned>(info.role) << role_shift | (info.index ? has_index : 0) |
                          (info.address ? has_address : 0) | (info.name.empty() ? 0 : has_name) |
                          (info.mtu ? has_mtu : 0);
    const std::size_t start = begin(class_interface_info, type);
    if (info.index) out_.u32(*info.index);
    if (info.address) write_address(*info.address);
    if (!info.name.empty()) {
      out_.u8(static_cast<unsigned>(to_words(1 + info.name.size())));
      out_.copy(bytes_of(info.name));
      out_.pad(start, 4);
    }
    if (info.mtu) out_.u32(*info.mtu);
    return end(start);
  }

  result<void> operator()(const interface_ident& ident) const noexcept {
    return std::visit([this](const auto& by) { return write_ident(by); }, ident.by);
  }

 private:
  // Writes the header of an object; `end` sets the length in it.
  std::size_t begin(unsigned class_number, unsigned type) const noexcept {
    const std::size_t start = out_.position();
    out_.u16(0);
    out_.u8(class_number);
    out_.u8(type);
    return start;
  }

  result<void> end(std::size_t start) const noexcept {
    const std::size_t length = out_.position() - start;
    if (length > max_object) return fail(errc::too_long);
    assert(length % 4 == 0 || !out_.size());
    out_.set16(start, static_cast<unsigned>(length));
    return {};
  }

  void write_address(const ip_address& address) const noexcept {
    const auto v4 = address.to_v4();
    out_.u16(v4 ? family_ipv4 : family_ipv6);
    out_.u16(0);
    if (v4) {
      out_.copy(std::as_bytes(std::span(*v4)));
    } else {
      out_.address(address);
    }
  }

  result<void> write_ident(const interface_by_name& by) const noexcept {
    if (by.name.empty() || by.name.find('\0') != std::string_view::npos) return fail(errc::out_of_range);
    if (by.name.size() > max_ident_name) return fail(errc::too_long);
    const std::size_t start = begin(class_interface_ident, type_by_name);
    out_.copy(bytes_of(by.name));
    out_.pad(start, 4);
    return end(start);
  }

  result<void> write_ident(const interface_by_index& by) const noexcept {
    const std::size_t start = begin(class_interface_ident, type_by_index);
    out_.u32(by.index);
    return end(start);
  }

  result<void> write_ident(const interface_by_address& by) const noexcept {
    if (by.address.size() > max_ident_address) return fail(errc::too_long);
    const std::size_t start = begin(class_interface_ident, type_by_address);
    out_.u16(by.family);
    out_.u8(static_cast<unsigned>(by.address.size()));
    out_.u8(0);
    out_.copy(by.address);
    out_.pad(start, 4);
    return end(start);
  }

  wire::writer& out_;
};

// May the message have these extensions? An extended echo asks about exactly one interface (RFC 8335, 2), or has raw
// objects only: so tests can send malformed queries. An error message has no such object.
bool allowed(const list<extension>& extensions, extension_rule rule) noexcept {
  std::size_t idents = 0;
  std::size_t reports = 0;
  std::size_t raws = 0;
  for (const extension& object : extensions) {
    if (std::holds_alternative<interface_ident>(object)) {
      ++idents;
    } else if (std::holds_alternative<raw_extension>(object)) {
      ++raws;
    } else {
      ++reports;
    }
  }
  if (rule == extension_rule::error_message) return idents == 0;
  return reports == 0 && (idents == 0 || (idents == 1 && raws == 0));
}

}  // namespace

list<extension> read_extensions(bytes structure) noexcept {
  if (structure.size() < structure_header_size + object_header_size) return {};
  const unsigned version = wire::load8(structure) >> 4;
  // A checksum of 0 means that the sender computed none.
  const bool intact = wire::load16(structure, 2) == 0 || internet_checksum(structure) == 0;
  if (version != structure_version || !intact) return {};
  return list<extension>::in_packet(structure.subspan(structure_header_size));
}

result<void> write_extensions(wire::writer& out, const list<extension>& extensions, extension_rule rule) noexcept {
  if (extensions.empty()) return {};
  if (!allowed(extensions, rule)) return fail(std::errc::invalid_argument);
  const std::size_t start = out.position();
  out.u8(structure_version << 4);
  out.zeros(3);
  for (const extension& object : extensions) {
    if (auto written = std::visit(object_writer(out), object); !written) return written;
  }
  if (out.size()) out.set16(start + 2, internet_checksum(out.written(start)));
  return {};
}

}  // namespace codec

namespace detail {

std::size_t element<mpls_label>::size(std::span<const std::byte> rest) noexcept {
  return rest.size() < 4 ? 0 : 4;
}

mpls_label element<mpls_label>::read(std::span<const std::byte> bytes) noexcept {
  assert(bytes.size() == 4 && "`size` has measured the entry");
  const std::uint32_t word = wire::load32(bytes);
  return {.label = word >> 12,
          .traffic_class = static_cast<std::uint8_t>(word >> 9 & 7),
          .bottom_of_stack = (word >> 8 & 1) != 0,
          .ttl = static_cast<std::uint8_t>(word & 0xff)};
}

std::size_t element<extension>::size(std::span<const std::byte> rest) noexcept {
  if (rest.size() < codec::object_header_size) return 0;
  const std::size_t length = wire::load16(rest);
  // Objects consist of whole words (RFC 4884, 7.1).
  const bool possible = length >= codec::object_header_size && length % 4 == 0 && length <= rest.size();
  return possible ? length : 0;
}

extension element<extension>::read(std::span<const std::byte> bytes) noexcept {
  assert(size(bytes) == bytes.size() && "`size` has measured the object");
  const std::uint8_t class_number = wire::load8(bytes, 2);
  const std::uint8_t type = wire::load8(bytes, 3);
  const auto data = bytes.subspan(codec::object_header_size);
  if (const auto object = codec::read_object(class_number, type, data)) return *object;
  return raw_extension{class_number, type, data};
}

}  // namespace detail
}  // namespace uring6::inline v0::icmp
