// source_filter: which sources of a multicast group a conn receives.
#pragma once

#include "uring6/version.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "uring6/address.hpp"
#include "uring6/detail/hash.hpp"
#include "uring6/export.hpp"

namespace uring6::inline v0 {

/// How a filter reads its list of sources (RFC 3678, section 2). The values are the kernel's.
enum class filter_mode : std::uint8_t {
  exclude = 0,  ///< All sources but the listed ones. MCAST_EXCLUDE
  include = 1,  ///< The listed sources alone. MCAST_INCLUDE
};

/// The sources of one membership, as a whole: `packet_conn::source_filter` reads it, and `set_source_filter` sets it in
/// one call. The default receives from all sources. RFC 3678, setsourcefilter; Go: missing.
struct source_filter {
  filter_mode mode = filter_mode::exclude;
  std::vector<ip_address> sources{};  ///< In the kernel's order. Of a read filter without zones.

  friend bool operator==(const source_filter&, const source_filter&) noexcept = default;
};

/// "exclude"
URING6_EXPORT std::string to_string(filter_mode mode);

/// "exclude 2001:db8::1, 2001:db8::2"; "exclude none".
URING6_EXPORT std::string to_string(const source_filter& filter);

}  // namespace uring6::inline v0

template <>
struct std::hash<uring6::source_filter> {
  std::size_t operator()(const uring6::source_filter& of) const noexcept {
    return uring6::detail::hash_of(of.mode, uring6::detail::hash_of_all(of.sources));
  }
};
