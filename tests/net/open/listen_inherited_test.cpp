// Sockets of the parent process: each case runs in a child, whose descriptors and environment it may change.
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

#include "support/case/coroutines.hpp"
#include "support/machine/environment.hpp"
#include "support/process/forked.hpp"
#include "support/traffic/plain_sender.hpp"
#include "support/traffic/streams.hpp"
#include "uring6/inherited.hpp"
#include "uring6/listen.hpp"
#include "uring6/tcp.hpp"
#include "uring6/text.hpp"
#include "uring6/with_timeout.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

void set_variables(const char* count, const char* names, const std::string& process) {
  ::setenv("LISTEN_PID", process.c_str(), 1);
  ::setenv("LISTEN_FDS", count, 1);
  if (names) {
    ::setenv("LISTEN_FDNAMES", names, 1);
  } else {
    ::unsetenv("LISTEN_FDNAMES");
  }
}

/// Keeps the descriptors 3 to 9 in use, so that what `in_child` opens for itself is not among those that a child takes.
std::vector<file_descriptor> low_descriptors() {
  std::vector<file_descriptor> all;
  do {
    all.emplace_back(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  } while (all.back().get() >= 0 && all.back().get() < 10);
  return all;
}

/// Calls it in a child that has `open` descriptors from 3 on; returns "name@fd ..." or the error's message.
std::string taken(const char* count, const char* names, int open = 2, int process_offset = 0) {
  const auto low = low_descriptors();
  return in_child([&] {
    for (int fd = 3; fd < 3 + open; ++fd) {
      if (::dup2(0, fd) < 0) return std::string("dup2");
    }
    ::close(3 + open);
    set_variables(count, names, std::to_string(::getpid() + process_offset));
    const auto got = listen_inherited();
    if (::getenv("LISTEN_FDS") || ::getenv("LISTEN_PID") || ::getenv("LISTEN_FDNAMES"))
      return std::string("a variable is left");
    if (!got) return got.error().message();
    std::string text;
    for (const inherited_socket& each : *got) {
      text += each.name + "@" + std::to_string(each.fd) + " ";
      if ((::fcntl(each.fd, F_GETFD) & FD_CLOEXEC) == 0) text += "(stays open in children) ";
    }
    const auto again = listen_inherited();
    if (!again || !again->empty()) text += "(twice) ";
    return text;
  });
}

TEST_CASE("listen_inherited: the sockets from 3 on, with their names, once") {
  CHECK(taken("2", "dns:control") == "dns@3 control@4 ");
  CHECK(taken("2", nullptr) == "unknown@3 unknown@4 ");
  CHECK(taken("2", ":") == "@3 @4 ");
  CHECK(taken("1", "dns") == "dns@3 ");
  CHECK(taken("0", nullptr).empty());
}

TEST_CASE("listen_inherited: those of another process are not taken") {
  CHECK(taken("2", "dns:control", 2, 1).empty());
}

TEST_CASE("listen_inherited: garbage is refused") {
  const std::string malformed = make_error_code(errc::malformed).message();
  for (const char* count : {"", "-1", "two", "2 ", " 2", "0x2", "2147483647", "99999999999999999999"}) {
    INFO('"' << count << '"');
    CHECK(taken(count, nullptr) == malformed);
  }
  CHECK(taken("2", "dns") == malformed);
  CHECK(taken("2", "a:b:c") == malformed);
  CHECK(taken("2", "") == malformed);
  CHECK(taken("1", nullptr, 0) == std::make_error_code(std::errc::bad_file_descriptor).message());
  CHECK(in_child([] {
          set_variables("1", nullptr, "self");
          return listen_inherited().error().message();
        }) == malformed);
}

TEST_CASE("listen_inherited: without the variables there are none") {
  CHECK(in_child([] {
          for (const char* each : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) ::unsetenv(each);
          const auto got = listen_inherited();
          return std::string(got && got->empty() ? "none" : "some");
        }) == "none");
}

TEST_CASE("listen_inherited: what arrived before the process began is read, of both kinds of sockets") {
  need_ipv6();
  const auto low = low_descriptors();
  CHECK(in_child([] {
          file_descriptor datagrams = or_throw(open_socket(AF_INET6, SOCK_DGRAM));
          file_descriptor listener = or_throw(open_socket(AF_INET6, SOCK_STREAM));
          or_throw(bind_socket(datagrams.get(), endpoint{ip_address::loopback(), 0}));
          or_throw(bind_socket(listener.get(), endpoint{ip_address::loopback(), 0}));
          or_throw(listen_socket(listener.get(), 10));
          plain_sender(or_throw(local_endpoint(datagrams.get()))).send("early");
          auto client = plain_client(or_throw(local_endpoint(listener.get())));
          // Out of the way of the descriptors 3 and 4.
          const int first = ::fcntl(datagrams.get(), F_DUPFD, 100);
          const int second = ::fcntl(listener.get(), F_DUPFD, 100);
          const file_descriptor connected(::fcntl(client.get(), F_DUPFD, 100));
          for (file_descriptor* each : {&datagrams, &listener, &client}) *each = file_descriptor();
          ::dup2(first, 3);
          ::dup2(second, 4);
          set_variables("2", "datagrams:listener", std::to_string(::getpid()));
          const auto sockets = or_throw(listen_inherited());
          event_loop loop;
          packet_conn pc = or_throw(adopt_packet(loop, sockets.at(0).fd));
          tcp_listener at = or_throw(adopt_listener(loop, sockets.at(1).fd));
          std::string said;
          const auto body = [&]() -> task<> {
            std::array<std::byte, 16> buffer;
            const auto got = co_await with_timeout(patience, pc.read_from(buffer));
            if (got) said = as_text(got->payload);
            const auto peer = co_await with_timeout(patience, at.accept());
            if (peer) said += " connected";
          };
          loop.run(body());
          return said;
        }) == "early connected");
}

}  // namespace
