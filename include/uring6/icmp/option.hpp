// The options of neighbor discovery (RFC 4861, 4.6; RFC 8106).
#pragma once

#include "uring6/version.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <variant>

#include "uring6/address.hpp"
#include "uring6/export.hpp"
#include "uring6/icmp/domain_name.hpp"
#include "uring6/icmp/list.hpp"

namespace uring6::inline v0::icmp {

/// The lifetime that never ends, where the field has 32 bits.
inline constexpr std::chrono::seconds infinite_lifetime{0xffffffff};

/// The type of an option (IANA's "IPv6 Neighbor Discovery Option Formats"). A number without a name here is a valid
/// value.
enum class option_type : std::uint8_t {
  source_link_layer_address = 1,
  target_link_layer_address = 2,
  prefix_information = 3,
  redirected_header = 4,
  mtu = 5,
  nonce = 14,              ///< RFC 3971
  route_information = 24,  ///< RFC 4191
  recursive_dns_servers = 25,
  flags_extension = 26,  ///< RFC 5175
  dns_search_list = 31,
  captive_portal = 37,  ///< RFC 8910
  pref64 = 38,          ///< RFC 8781
};

/// The link-layer address of the sender (type 1) or of the target (type 2). To send, 1 to 2038 bytes. Received, all
/// bytes of the option: for Ethernet six; zeros follow an address that does not fill the option.
template <option_type Type>
struct link_layer_address {
  static constexpr option_type type = Type;

  std::span<const std::byte> address{};
};

using source_link_layer_address = link_layer_address<option_type::source_link_layer_address>;
using target_link_layer_address = link_layer_address<option_type::target_link_layer_address>;

/// Type 3: a prefix of the link.
struct prefix_information {
  static constexpr option_type type = option_type::prefix_information;

  std::uint8_t prefix_length = 0;              ///< 0 to 128.
  bool on_link = false;                        ///< L
  bool autonomous = false;                     ///< A: hosts may make addresses of it.
  bool router_address = false;                 ///< R: `prefix` is a whole address (RFC 6275).
  std::chrono::seconds valid_lifetime{0};      ///< 0 to infinite_lifetime.
  std::chrono::seconds preferred_lifetime{0};  ///< 0 to infinite_lifetime.
  ip_address prefix{};

  friend bool operator==(const prefix_information&, const prefix_information&) = default;
};

/// Type 4: the start of the packet that caused a redirect. To send, up to 2032 bytes. Received, zeros follow it up to
/// a multiple of eight bytes.
struct redirected_header {
  static constexpr option_type type = option_type::redirected_header;

  std::span<const std::byte> data{};
};

/// Type 5: the MTU of the link.
struct link_mtu {
  static constexpr option_type type = option_type::mtu;

  std::uint32_t mtu = 0;  ///< Bytes.

  friend bool operator==(const link_mtu&, const link_mtu&) = default;
};

/// Type 25: DNS servers (RFC 8106, 5.1). RDNSS.
struct recursive_dns_servers {
  static constexpr option_type type = option_type::recursive_dns_servers;

  std::chrono::seconds lifetime{0};  ///< 0 to infinite_lifetime.
  list<ip_address> servers{};        ///< 1 to 127.
};

/// Type 31: DNS search domains (RFC 8106, 5.2). DNSSL.
struct dns_search_list {
  static constexpr option_type type = option_type::dns_search_list;

  std::chrono::seconds lifetime{0};  ///< 0 to infinite_lifetime.
  list<domain_name> domains{};       ///< At least one; up to 2032 bytes together.
};

/// An option of another type, or of a known type with other contents than the type allows.
struct raw_option {
  option_type type{};
  /// What follows type and length. With these two bytes a multiple of eight, up to 2040 bytes.
  std::span<const std::byte> data{};
};

/// An option of neighbor discovery.
using option = std::variant<raw_option, source_link_layer_address, target_link_layer_address, prefix_information,
                            redirected_header, link_mtu, recursive_dns_servers, dns_search_list>;

/// "source link-layer address 02:00:00:00:00:01", "mtu 1500".
URING6_EXPORT std::string to_string(const option& one);

namespace detail {

template <>
struct URING6_EXPORT element<domain_name> {
  static std::size_t size(std::span<const std::byte> rest) noexcept;
  static domain_name read(std::span<const std::byte> bytes) noexcept;
};

template <>
struct URING6_EXPORT element<option> {
  static std::size_t size(std::span<const std::byte> rest) noexcept;
  static option read(std::span<const std::byte> bytes) noexcept;
};

}  // namespace detail
}  // namespace uring6::inline v0::icmp
