// Neighbor discovery (RFC 4861). Go has none of it.
//
// The receiver must check what these functions cannot see: the hop limit is 255, and the source of a router
// advertisement or redirect is link-local (RFC 4861, 6.1 and 7.1).
#pragma once

#include "uring6/version.hpp"

#include <chrono>
#include <cstdint>
#include <string_view>

#include "uring6/address.hpp"
#include "uring6/export.hpp"
#include "uring6/icmp/list.hpp"
#include "uring6/icmp/option.hpp"
#include "uring6/icmp/type.hpp"

namespace uring6::inline v0::icmp {

/// Type 133.
struct router_solicitation {
  static constexpr icmp_type type = icmp_type::router_solicitation;

  list<option> options{};
};

/// How much a router is preferred over others (RFC 4191, 2.1).
enum class router_preference : std::uint8_t { medium = 0, high = 1, reserved = 2, low = 3 };

/// The preference in words ("high").
URING6_EXPORT std::string_view to_string(router_preference preference) noexcept;

/// Type 134.
struct router_advertisement {
  static constexpr icmp_type type = icmp_type::router_advertisement;

  std::uint8_t hop_limit = 0;  ///< The hop limit that hosts shall use; 0: not specified here.
  bool managed = false;        ///< M: hosts get addresses by DHCPv6.
  bool other = false;          ///< O: hosts get other configuration by DHCPv6.
  bool home_agent = false;     ///< H (RFC 6275)
  router_preference preference = router_preference::medium;
  bool proxy = false;                             ///< P (RFC 4389)
  std::chrono::seconds lifetime{0};               ///< As a default router, 0 to 65535; 0: the sender is none.
  std::chrono::milliseconds reachable_time{0};    ///< 0 to 0xffffffff; 0: not specified here.
  std::chrono::milliseconds retransmit_timer{0};  ///< 0 to 0xffffffff; 0: not specified here.
  list<option> options{};
};

/// Type 135.
struct neighbor_solicitation {
  static constexpr icmp_type type = icmp_type::neighbor_solicitation;

  ip_address target{};  ///< Not multicast.
  list<option> options{};
};

/// Type 136.
struct neighbor_advertisement {
  static constexpr icmp_type type = icmp_type::neighbor_advertisement;

  bool router = false;          ///< R: the sender is a router.
  bool solicited = false;       ///< S: the message answers a solicitation.
  bool override_cache = false;  ///< O: the message replaces a cached link-layer address.
  ip_address target{};          ///< Not multicast.
  list<option> options{};
};

/// Type 137.
struct redirect {
  static constexpr icmp_type type = icmp_type::redirect;

  ip_address target{};       ///< The better first hop: a link-local address, or `destination` itself.
  ip_address destination{};  ///< Not multicast.
  list<option> options{};
};

}  // namespace uring6::inline v0::icmp
