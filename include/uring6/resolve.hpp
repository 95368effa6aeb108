// resolve: finds the endpoints of a host and service name.
#pragma once

#include "uring6/version.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <vector>

#include "uring6/address.hpp"
#include "uring6/export.hpp"
#include "uring6/result.hpp"
#include "uring6/run_blocking.hpp"

namespace uring6::inline v0 {

/// Why a name gave no endpoint: the EAI_* of getaddrinfo(3), RFC 3493 6.1. Each message is a sentence.
enum class resolve_errc {
  not_found = -2,        ///< EAI_NONAME: no such name, or no such service.
  try_again = -3,        ///< EAI_AGAIN: no server answered. Equal to `std::errc::resource_unavailable_try_again`.
  failure = -4,          ///< EAI_FAIL: the server refused.
  no_address = -5,       ///< EAI_NODATA: the name exists and has no address.
  wrong_family = -9,     ///< EAI_ADDRFAMILY: the name has no address of the wanted family.
  unknown_service = -8,  ///< EAI_SERVICE
  out_of_memory = -10,   ///< EAI_MEMORY. Equal to `std::errc::not_enough_memory`.
  overflow = -12,        ///< EAI_OVERFLOW: the name is too long.
};

/// The category of `resolve_errc`, and of all other EAI_* values.
URING6_EXPORT const std::error_category& resolve_category() noexcept;

inline std::error_code make_error_code(resolve_errc e) noexcept {
  return {static_cast<int>(e), resolve_category()};
}

/// Options of a look-up.
struct resolve_options {
  enum class family : std::uint8_t { any, v6, v4 };
  /// The wanted addresses. IPv4 addresses come v4-mapped.
  family addresses = family::any;
  /// The name must be an address that `ip_address::parse` takes, else `resolve_errc::not_found`. The resolver asks no
  /// name server and reads no file. AI_NUMERICHOST, which takes more forms.
  bool numeric_only = false;
};

/// "any", "v6", "v4"; the number of another value.
URING6_EXPORT std::string to_string(resolve_options::family value);

namespace detail {

/// A look-up as a callable that owns its texts.
struct URING6_EXPORT resolve_call {
  std::string name{};
  std::string service{};
  resolve_options options{};

  result<std::vector<endpoint>> operator()() const;
};

}  // namespace detail

/// Looks `name` and `service` up as the system's configuration says (hosts file, DNS, ...). Returns endpoints, each
/// once, the preferred one first (RFC 6724). Go: net.Resolver.LookupNetIP.
///
/// `name`: "example.org", "localhost", "2001:db8::1", "fe80::1%eth0" (the zone is kept), "192.0.2.1"; empty: this
/// host's loopback addresses. Numbers that `ip_address::parse` does not take, such as "127.1" or "0x7f000001", are
/// `resolve_errc::not_found`.
///
/// `service`: "https", "443", or empty for port 0.
///
/// Errors: `resolve_errc`, `errc::unknown_zone`, the errno of a failed system call (EAI_SYSTEM), and those of
/// `run_blocking`. The resolver runs on a thread of `run_blocking`: a stopped coroutine leaves at once, while the
/// resolver goes on until it has an answer or gives up.
[[nodiscard("co_await it")]] inline detail::blocking_operation<detail::resolve_call> resolve(
    std::string_view name, std::string_view service = {}, const resolve_options& options = {}) {
  return run_blocking(detail::resolve_call{std::string(name), std::string(service), options});
}

}  // namespace uring6::inline v0

template <>
struct std::is_error_code_enum<uring6::resolve_errc> : std::true_type {};
