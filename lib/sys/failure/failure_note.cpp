#include "sys/failure/failure_note.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <mutex>
#include <string>

#include "sys/socket/refusal.hpp"
#include "uring6/failure.hpp"

namespace uring6::detail {
namespace {

// Notes: failures are told soon after they happen, and a program that opens many conns at once asks for the first.
constexpr std::size_t kept = 64;
// Octets of a note: a word for the operation, a network word, two addresses with zones, an interface's name.
constexpr std::size_t longest = 192;

struct note {
  std::uint32_t number = 0;
  std::error_code error{};
  std::size_t length = 0;
  std::array<char, longest> text{};
};

struct note_book {
  std::mutex mutex;
  std::uint32_t last = 0;  // the number of the latest note; 0 is that of none
  std::array<note, kept> notes{};
};

note_book& book() noexcept {
  static note_book all;
  return all;
}

/// What helps against an error. `operations` begin with that word; empty: all.
struct cure {
  std::error_code error;
  std::string_view operations;
  std::string_view text;
};

std::error_code of(int error_number) noexcept {
  return {error_number, std::system_category()};
}

std::string_view static_cure(const std::error_code& error, std::string_view operation) noexcept {
  const cure all[] = {
      {of(EACCES), "listen", "a port below net.ipv4.ip_unprivileged_port_start, 1024, needs CAP_NET_BIND_SERVICE"},
      {of(EPERM), "listen", "raw sockets need CAP_NET_RAW"},
      {of(EPERM), "dial", "raw sockets need CAP_NET_RAW"},
      {of(EPERM), "set", "this needs CAP_NET_ADMIN"},
      {of(EADDRINUSE), "listen", "another socket has the port: ss -nlp names it"},
      {of(EADDRNOTAVAIL), "", "no interface has the address: ip -6 address lists them"},
      {of(ENETUNREACH), "", "no route leads there: ip -6 route lists them"},
      {of(EHOSTUNREACH), "", "no route leads there: ip -6 route lists them"},
      {of(ENODEV), "", "ip link lists the interfaces"},
      {make_error_code(errc::unknown_zone), "", "ip link lists the interfaces"},
      {of(ENOPROTOOPT), "", "the socket or this kernel has no such option"},
      {of(ENOBUFS), "join", "net.core.optmem_max limits the groups of a socket, net.ipv6.mld_max_msf their sources"},
      {of(ENOMEM), "join", "net.core.optmem_max limits the groups of a socket, net.ipv6.mld_max_msf their sources"},
      {of(ECONNREFUSED), "dial", "no socket listens there"},
  };
  const auto found = std::find_if(std::begin(all), std::end(all), [&](const cure& each) {
    return each.error == error && operation.starts_with(each.operations);
  });
  return found == std::end(all) ? std::string_view() : found->text;
}

class operation_failed final : public std::system_error {
 public:
  explicit operation_failed(const failure& why)
      : std::system_error(why.error()), text_(std::make_shared<const std::string>(why.text())) {}
  const char* what() const noexcept override { return text_->c_str(); }

 private:
  std::shared_ptr<const std::string> text_;  // an exception is copied without throwing
};

}  // namespace

std::uint32_t keep_note(const std::error_code& error, std::string_view operation, std::string_view object) noexcept {
  note_book& all = book();
  const std::scoped_lock lock(all.mutex);
  if (++all.last == 0) ++all.last;
  note& into = all.notes[all.last % kept];
  into.number = all.last;
  into.error = error;
  into.length = 0;
  for (const std::string_view part : {operation, std::string_view(object.empty() ? "" : " "), object}) {
    const std::string_view fits = part.substr(0, longest - into.length);
    std::copy(fits.begin(), fits.end(), into.text.begin() + static_cast<std::ptrdiff_t>(into.length));
    into.length += fits.size();
  }
  return into.number;
}

failure_note find_note(std::uint32_t number) {
  if (number == 0) return {};
  failure_note found;
  std::error_code error;
  {
    note_book& all = book();
    const std::scoped_lock lock(all.mutex);
    const note& from = all.notes[number % kept];
    if (from.number != number) return {};
    found.what.assign(from.text.data(), from.length);
    error = from.error;
  }
  found.cure = static_cure(error, found.what);
  if (error == of(EMFILE) || error == of(ENFILE)) found.cure = explain_too_many_descriptors(error.value());
  return found;
}

void throw_failure(const failure& why) {
  throw operation_failed(why);
}

}  // namespace uring6::detail
