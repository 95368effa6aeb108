// The extension objects of ICMP errors and of extended echoes (RFC 4884, 4950, 5837, 8335).
#pragma once

#include "uring6/version.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "uring6/address.hpp"
#include "uring6/export.hpp"
#include "uring6/icmp/list.hpp"

namespace uring6::inline v0::icmp {

/// One entry of an MPLS label stack (RFC 3032). Go: MPLSLabel.
struct mpls_label {
  std::uint32_t label = 0;         ///< 0 to 0xfffff.
  std::uint8_t traffic_class = 0;  ///< 0 to 7.
  bool bottom_of_stack = false;
  std::uint8_t ttl = 0;

  friend bool operator==(const mpls_label&, const mpls_label&) = default;
};

/// The MPLS labels with which the quoted packet arrived (RFC 4950). Go: MPLSLabelStack.
struct mpls_label_stack {
  list<mpls_label> labels{};
};

/// The role of an interface for the quoted packet (RFC 5837, 4.1).
enum class interface_role : std::uint8_t {
  incoming = 0,         ///< The packet arrived by it.
  incoming_sub_ip = 1,  ///< The packet arrived by this part of an aggregate.
  outgoing = 2,         ///< The packet would have left by it.
  next_hop = 3,         ///< The packet would have gone to this address.
};

/// An interface of the router that reports the error (RFC 5837). Go: InterfaceInfo.
struct interface_info {
  interface_role role = interface_role::incoming;
  std::optional<std::uint32_t> index{};  ///< The interface's SNMP index.
  std::optional<ip_address> address{};   ///< IPv4 addresses are v4-mapped.
  std::string_view name{};               ///< Up to 63 bytes of UTF-8; empty for none.
  std::optional<std::uint32_t> mtu{};    ///< Bytes.
};

/// The interface that an extended echo request asks about, by its name (1 to 255 bytes).
struct interface_by_name {
  std::string_view name{};
};

/// The same by its index.
struct interface_by_index {
  std::uint32_t index = 0;

  friend bool operator==(const interface_by_index&, const interface_by_index&) = default;
};

/// The same by an address.
struct interface_by_address {
  std::uint16_t family = 0;              ///< IANA address family number: IPv4 1, IPv6 2, 48-bit MAC 16389.
  std::span<const std::byte> address{};  ///< Up to 255 bytes.
};

/// The interface that an extended echo request asks about (RFC 8335, 2.1). Go: InterfaceIdent.
struct interface_ident {
  std::variant<interface_by_name, interface_by_index, interface_by_address> by{};
};

/// An object of another class, or of a known class with other contents than the class allows. Go: RawExtension.
struct raw_extension {
  std::uint8_t class_number = 0;
  std::uint8_t type = 0;              ///< C-Type.
  std::span<const std::byte> data{};  ///< What follows the object's header of four bytes. Up to 65531 bytes.
};

/// An object of an extension structure. Go: Extension.
using extension = std::variant<raw_extension, mpls_label_stack, interface_info, interface_ident>;

/// "mpls 16001/1 ttl=254", "interface incoming ifindex=2 name=eth0 mtu=1500".
URING6_EXPORT std::string to_string(const extension& object);

namespace detail {

template <>
struct URING6_EXPORT element<mpls_label> {
  static std::size_t size(std::span<const std::byte> rest) noexcept;
  static mpls_label read(std::span<const std::byte> bytes) noexcept;
};

template <>
struct URING6_EXPORT element<extension> {
  static std::size_t size(std::span<const std::byte> rest) noexcept;
  static extension read(std::span<const std::byte> bytes) noexcept;
};

}  // namespace detail
}  // namespace uring6::inline v0::icmp
