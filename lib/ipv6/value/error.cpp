#include "uring6/error.hpp"

#include <cerrno>
#include <string>

namespace uring6::inline v0 {
namespace {

struct condition {
  std::errc nearest;
  const char* message;
};

// Indexed by errc - 1.
constexpr condition conditions[] = {
    {std::errc::timed_out, "deadline exceeded"},
    {std::errc::bad_file_descriptor, "the connection is closed"},
    {std::errc::operation_canceled, "canceled: a stop was requested"},
    {std::errc::protocol_not_supported,
     "no such network here (packets: udp, udp6, icmp6, ip6:protocol; streams: tcp, tcp6)"},
    {std::errc::invalid_argument, "not an IP address"},
    {std::errc::invalid_argument, "the address has no port (expected [address]:port)"},
    {std::errc::no_such_device, "no such network interface or zone"},
    {std::errc::invalid_argument, "not a multicast group"},
    {std::errc::address_in_use, "the group is already joined on this interface"},
    {std::errc::address_not_available, "the group is not joined on this interface"},
    {std::errc::invalid_argument, "value out of range"},
    {std::errc::message_size, "longer than one datagram can carry"},
    {std::errc::operation_not_permitted, "used from a thread that does not run this loop"},
    {std::errc::operation_not_permitted, "used in the child of a fork: a loop stays with its process"},
    {std::errc::bad_message, "malformed message"},
    {std::errc::invalid_argument, "the zone of the address is another interface than the one given"},
    {std::errc::invalid_argument,
     "the address has a zone, which only link-local addresses and groups have; choose the interface otherwise "
     "(multicast interface, control message, device)"},
    {std::errc::invalid_argument, "the conn is bound to one group and hears no other; listen at [::] to join several"},
    {std::errc::invalid_argument,
     "an IPv4 address where only IPv6 can go (udp6, tcp6, icmp6, ip6): give an IPv6 address, or the network udp or "
     "tcp"},
    {std::errc::address_family_not_supported,
     "no IPv6 socket can be opened: the kernel was built without IPv6 or started with ipv6.disable=1, or a sandbox "
     "hides it"},
    {std::errc::message_size,
     "a datagram that was sent is longer than the MTU of its path: read_path_mtu_event() says of which destination"},
    {std::errc::no_buffer_space,
     "the subscription fell behind and was cut off: subscribe anew, with more subscription_options::buffers or "
     "when_behind::skip"},
};

class own_errors final : public std::error_category {
 public:
  const char* name() const noexcept override { return "uring6"; }

  std::string message(int value) const override {
    const condition* found = find(value);
    return found ? found->message : "unknown uring6 error";
  }

  std::error_condition default_error_condition(int value) const noexcept override {
    const condition* found = find(value);
    return found ? std::make_error_condition(found->nearest) : std::error_condition(value, *this);
  }

 private:
  static const condition* find(int value) noexcept {
    const auto index = static_cast<std::size_t>(value) - 1;
    return index < std::size(conditions) ? &conditions[index] : nullptr;
  }
};

}  // namespace

const std::error_category& error_category() noexcept {
  static const own_errors instance;
  return instance;
}

bool is_transient(const std::error_code& error) noexcept {
  if (error == errc::path_mtu_event) return true;
  if (error.category() != std::system_category() && error.category() != std::generic_category()) return false;
  switch (error.value()) {
    case ECONNREFUSED:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EHOSTDOWN:
    case ENETDOWN:
    case EACCES:
    case EPROTO:
    case EMSGSIZE:
    case ENOPROTOOPT:
    case ENONET:
    case EOPNOTSUPP:
    case ENOBUFS:
    case ENOMEM:
    case EMFILE:
    case ENFILE:
    case EAGAIN:
    case EINTR:
    case ECONNABORTED:
    case EPERM:
      return true;
    default:
      return false;
  }
}

}  // namespace uring6::inline v0
