#include "sys/failure/failure_note.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <mutex>
#include <string>

#include "uring6/failure.hpp"

namespace uring6::inline v0::detail {
namespace {

// Notes: failures are told soon after they happen, and a program that opens many conns at once asks for the first.
constexpr std::size_t notes_kept = 64;
// Octets of a note: a word for the operation, a network word, two addresses with zones, an interface's name.
constexpr std::size_t longest_note = 192;

struct note {
  std::uint32_t number = 0;
  std::error_code error{};
  std::size_t length = 0;
  std::array<char, longest_note> text{};
};

struct note_book {
  std::mutex mutex;
  std::uint32_t last = 0;  // the number of the latest note; 0 is that of none
  std::array<note, notes_kept> notes{};
};

note_book& book() noexcept {
  static note_book all;
  return all;
}

/// What helps against an error of an operation, whose note begins with these words; empty: of all operations.
struct cure {
  std::error_code error;
  std::string_view operation;
  std::string_view text;
};

std::error_code of(int error_number) noexcept {
  return {error_number, std::system_category()};
}

std::string_view cure_of(const std::error_code& error, std::string_view what) noexcept {
  constexpr std::string_view low_port = "a port below net.ipv4.ip_unprivileged_port_start needs CAP_NET_BIND_SERVICE";
  constexpr std::string_view ping = "net.ipv4.ping_group_range must contain a group of the process";
  constexpr std::string_view raw = "raw sockets need CAP_NET_RAW";
  constexpr std::string_view taken = "another socket has the port: ss -nlp names it";
  constexpr std::string_view groups =
      "net.core.optmem_max limits the groups of a socket, net.ipv6.mld_max_msf their sources";
  constexpr std::string_view links = "ip link lists the interfaces";
  constexpr std::string_view versions =
      "the two programs have versions of uring6 with other messages: restart without a hand-over";
  const cure all[] = {
      {of(EACCES), "listen_packet udp", low_port},
      {of(EACCES), "listen_tcp", low_port},
      {of(EACCES), "listen_packet icmp6", ping},
      {of(EACCES), "dial_packet icmp6", ping},
      {of(EPERM), "listen_packet ip6:", raw},
      {of(EPERM), "dial_packet ip6:", raw},
      {of(EADDRINUSE), "listen", taken},
      {of(EADDRNOTAVAIL), "listen", "no interface has the address: ip address lists them"},
      {of(EADDRNOTAVAIL), "dial", "no interface has the address to dial from: ip address lists them"},
      {of(ENETUNREACH), "dial", "no route leads there: ip route get shows the one that is taken"},
      {of(EHOSTUNREACH), "dial", "no route leads there, or the next hop does not answer"},
      {of(ENODEV), "", links},
      {make_error_code(errc::unknown_zone), "memory_link", "the link's zone is memory_link_options::interface_index"},
      {make_error_code(errc::unknown_zone), "", links},
      {of(ENOPROTOOPT), "set", "this kernel or socket has no such option"},
      {of(ENOBUFS), "join", groups},
      {of(ENOMEM), "join", groups},
      {of(ECONNREFUSED), "dial_tcp", "no socket listens there"},
      {of(ECONNRESET), "handover", "the successor has ended: what it wrote to its standard error says why"},
      {of(ECONNRESET), "take_over", "the predecessor has ended, or has given up"},
      {of(EPROTONOSUPPORT), "handover", versions},
      {of(EPROTONOSUPPORT), "take_over", versions},
      {of(EPIPE), "takeover::confirm", "the predecessor has kept its sockets, or has ended: close the conns unread"},
      {of(EMSGSIZE), "handover", "net.core.wmem_default must be 106,496 or more"},
      {of(ENOENT), "successor::start", "it takes the path of a program, and does not search PATH"},
      {of(EMFILE), "", "RLIMIT_NOFILE limits the files of a process: ulimit -n"},
      {of(ENFILE), "", "fs.file-max limits the files of the system"},
  };
  const auto found = std::find_if(std::begin(all), std::end(all), [&](const cure& each) {
    return each.error == error && what.starts_with(each.operation);
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
  all.last = all.last % outcome_tag::most_notes + 1;
  note& into = all.notes[all.last % notes_kept];
  into.number = all.last;
  into.error = error;
  into.length = 0;
  for (const std::string_view part : {operation, std::string_view(object.empty() ? "" : " "), object}) {
    const std::string_view fits = part.substr(0, longest_note - into.length);
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
    const note& from = all.notes[number % notes_kept];
    if (from.number != number) return {};
    found.what.assign(from.text.data(), from.length);
    error = from.error;
  }
  found.cure = cure_of(error, found.what);
  return found;
}

void throw_failure(const failure& why) {
  throw operation_failed(why);
}

}  // namespace uring6::inline v0::detail
