#include "uring6/resolve.hpp"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <cassert>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "sys/failure/failure_note.hpp"

namespace uring6::inline v0 {
namespace {

static_assert(static_cast<int>(resolve_errc::not_found) == EAI_NONAME);
static_assert(static_cast<int>(resolve_errc::try_again) == EAI_AGAIN);
static_assert(static_cast<int>(resolve_errc::failure) == EAI_FAIL);
static_assert(static_cast<int>(resolve_errc::no_address) == EAI_NODATA);
static_assert(static_cast<int>(resolve_errc::wrong_family) == EAI_ADDRFAMILY);
static_assert(static_cast<int>(resolve_errc::unknown_service) == EAI_SERVICE);
static_assert(static_cast<int>(resolve_errc::out_of_memory) == EAI_MEMORY);
static_assert(static_cast<int>(resolve_errc::overflow) == EAI_OVERFLOW);

class resolve_errors final : public std::error_category {
 public:
  const char* name() const noexcept override { return "uring6::resolve"; }

  std::string message(int value) const override {
    switch (static_cast<resolve_errc>(value)) {
      case resolve_errc::not_found:
        return "no such host name or service";
      case resolve_errc::try_again:
        return "no name server answered (see /etc/resolv.conf); try again later";
      case resolve_errc::failure:
        return "the name server refused to answer";
      case resolve_errc::no_address:
        return "the name exists, but has no address";
      case resolve_errc::wrong_family:
        return "the name has no address of the family that was asked for";
      case resolve_errc::unknown_service:
        return "no such service (see /etc/services)";
      default:
        return ::gai_strerror(value);
    }
  }

  std::error_condition default_error_condition(int value) const noexcept override {
    switch (static_cast<resolve_errc>(value)) {
      case resolve_errc::try_again:
        return std::errc::resource_unavailable_try_again;
      case resolve_errc::out_of_memory:
        return std::errc::not_enough_memory;
      case resolve_errc::wrong_family:
        return std::errc::address_family_not_supported;
      default:
        return {value, *this};
    }
  }
};

int family_of(const resolve_options& options) noexcept {
  switch (options.addresses) {
    case resolve_options::family::v6:
      return AF_INET6;
    case resolve_options::family::v4:
      return AF_INET;
    case resolve_options::family::any:
      break;
  }
  return AF_UNSPEC;
}

std::optional<endpoint> endpoint_of(const addrinfo& entry) noexcept {
  if (entry.ai_family == AF_INET6 && entry.ai_addrlen >= sizeof(sockaddr_in6)) {
    sockaddr_in6 name;
    std::memcpy(&name, entry.ai_addr, sizeof name);
    return endpoint::from_sockaddr(name);
  }
  if (entry.ai_family == AF_INET && entry.ai_addrlen >= sizeof(sockaddr_in)) {
    sockaddr_in name;
    std::memcpy(&name, entry.ai_addr, sizeof name);
    ip_address::v4_bytes_type bytes;
    std::memcpy(bytes.data(), &name.sin_addr, sizeof name.sin_addr);
    return endpoint{ip_address::v4_mapped(bytes), ntohs(name.sin_port)};
  }
  return std::nullopt;
}

}  // namespace

const std::error_category& resolve_category() noexcept {
  static const resolve_errors instance;
  return instance;
}

namespace {

// Numbers that the C library takes for an address and `ip_address::parse` does not: "127.1", "0x7f000001",
// "017700000001". To other programs they are other addresses, or names.
bool is_loose_number(const std::string& name) noexcept {
  in_addr ignored{};
  return ::inet_aton(name.c_str(), &ignored) != 0 && !ip_address::parse(name);
}

result<std::vector<endpoint>> look_up(const std::string& name, const std::string& service,
                                      const resolve_options& options) {
  // The C interface would cut at the first zero, and look another name up.
  if (name.find('\0') != name.npos) return fail(resolve_errc::not_found);
  if (service.find('\0') != service.npos) return fail(resolve_errc::unknown_service);
  if (is_loose_number(name)) return fail(resolve_errc::not_found);
  if (options.numeric_only && !name.empty()) {
    const auto address = ip_address::parse(name);
    if (!address)
      return fail(address.error() == errc::not_an_address ? make_error_code(resolve_errc::not_found) : address.error());
  }
  std::string host = name;
  // The C library says only "no such name" to a zone that does not exist, and to one by a long alternative name.
  if (const auto percent = name.find('%'); percent != name.npos) {
    const auto scoped = ip_address::parse(name);
    if (!scoped && scoped.error() == errc::unknown_zone) return fail(scoped.error());
    if (scoped) host = name.substr(0, percent + 1) + std::to_string(scoped->zone());
  }
  addrinfo wanted{};
  wanted.ai_family = family_of(options);
  wanted.ai_flags = options.numeric_only ? AI_NUMERICHOST : 0;
  addrinfo* first = nullptr;
  // Without a name or a service getaddrinfo wants the other one.
  const char* const port = service.empty() ? "0" : service.c_str();
  const int code = ::getaddrinfo(host.empty() ? nullptr : host.c_str(), port, &wanted, &first);
  if (code == EAI_SYSTEM) return fail_errno(errno);
  if (code != 0) return fail(std::error_code(code, resolve_category()));
  assert(first && "a look-up that succeeds finds something");
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> all(first, ::freeaddrinfo);

  std::vector<endpoint> found;
  // Each comes once for each type of socket.
  for (const addrinfo* entry = first; entry; entry = entry->ai_next) {
    const auto one = endpoint_of(*entry);
    if (one && std::find(found.begin(), found.end(), *one) == found.end()) found.push_back(*one);
  }
  if (found.empty()) return fail(resolve_errc::no_address);
  return found;
}

}  // namespace

result<std::vector<endpoint>> detail::resolve_call::operator()() const {
  return noted(look_up(name, service, options), "resolve",
               [this] { return service.empty() ? name : name + ", service " + service; });
}

}  // namespace uring6::inline v0
