// Each system call of the opening functions fails once, and descriptors run out after none, one, two, …: the call gives
// an error, nothing is leaked, a descriptor of the caller stays open, and the same call works afterwards.
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <csignal>
#include <functional>
#include <memory>
#include <new>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include "support/case/call_sweep.hpp"
#include "support/case/coroutines.hpp"
#include "support/machine/descriptors.hpp"
#include "support/machine/environment.hpp"
#include "support/machine/link_control.hpp"
#include "support/machine/network_namespace.hpp"
#include "support/process/forked.hpp"
#include "support/process/pipe.hpp"
#include "support/traffic/conns.hpp"
#include "support/traffic/streams.hpp"
#include "sys/socket/socket.hpp"
#include "uring6/interface.hpp"
#include "uring6/listen.hpp"
#include "uring6/listen_group.hpp"
#include "uring6/loop_group.hpp"
#include "uring6/signals.hpp"
#include "uring6/tcp.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

/// Keeps the calling thread, and children that it forks, in a network namespace whose ping_group_range permits "icmp6".
class permitted_pings {
 public:
  permitted_pings() { write_sysctl("net/ipv4/ping_group_range", "0 0"); }

 private:
  network_namespace space_;
  network_namespace::visit inside_{space_};
};

/// Keeps the opened object: its destruction makes system calls of its own, which are not counted here.
using opened = std::shared_ptr<void>;

/// A function that opens something, and must succeed or give its error.
struct opening {
  const char* name;
  std::function<std::error_code(event_loop&, opened&)> open;
  /// System calls that may fail without an error of the opening.
  std::vector<std::string> dispensable{};
};

template <class T>
std::error_code keep(result<T> made, opened& kept) {
  if (!made) return made.error();
  if constexpr (!std::is_void_v<T>) kept = std::make_shared<T>(std::move(*made));
  return {};
}

/// `adopt` with a descriptor of this test: after an error the test still owns it.
template <class Adopt>
std::error_code adopted(const file_descriptor& original, opened& kept, Adopt adopt) {
  file_descriptor given(::fcntl(original.get(), F_DUPFD_CLOEXEC, 0));
  if (!given) return {errno, std::system_category()};
  const int number = given.get();
  auto made = adopt(number);
  if (made) (void)given.release();
  if (!made && ::fcntl(number, F_GETFD) < 0) return make_error_code(std::errc::bad_file_descriptor);
  return keep(std::move(made), kept);
}

std::vector<opening> openings() {
  static const file_descriptor udp = or_throw(open_socket(AF_INET6, SOCK_DGRAM));
  static const file_descriptor listening = or_throw(open_socket(AF_INET6, SOCK_STREAM));
  or_throw(bind_socket(listening.get(), {ip_address::loopback(), 0}));
  or_throw(listen_socket(listening.get(), 100));
  static const endpoint there = or_throw(local_endpoint(listening.get()));
  static const file_descriptor connected = or_throw(open_socket(AF_INET6, SOCK_STREAM));
  or_throw(connect_socket(connected.get(), there));

  const auto packet = [](const char* network, const char* address, packet_options options = {}) {
    return [=](event_loop& loop, opened& kept) { return keep(listen_packet(loop, network, address, options), kept); };
  };
  const auto new_loop = [](event_loop&, opened& kept) {
    auto made = event_loop::create();
    if (!made) return made.error();
    try {
      made->run([]() -> task<> { co_return; }());
    } catch (const std::system_error& error) {
      return error.code();
    }
    if (const auto descriptor = made->descriptor(); !descriptor) return descriptor.error();
    return keep(std::move(made), kept);
  };
  const auto dial_there = [](event_loop& loop, opened& kept) {
    std::error_code error;
    loop.run([](event_loop& on, opened& conn, std::error_code& why) -> task<> {
      auto dialed = co_await dial_tcp(on, "tcp6", there.to_string());
      why = keep(std::move(dialed), conn);
    }(loop, kept, error));
    return error;
  };
  // With two loops the second one can fail after the first one has started.
  const auto group = [](opened& kept, const std::function<std::error_code(loop_group&)>& use) -> std::error_code {
    try {
      auto made = std::make_shared<loop_group>(loop_group_options{.loops = 2, .pin = false});
      if (const auto error = use(*made)) return error;
      kept = std::move(made);
    } catch (const std::system_error& error) {
      // pthread_create reports a stack that it cannot map as EAGAIN.
      if (error.code() == std::errc::resource_unavailable_try_again)
        return make_error_code(std::errc::not_enough_memory);
      return error.code();
    }
    return {};
  };
  const auto listening_group = [](loop_group& made) {
    const auto where = listen_group(made, "udp6", "[::1]:0", [](packet_conn pc) -> task<> {
      std::array<std::byte, 16> buffer;
      (void)co_await pc.read_from(buffer);
    });
    return where ? std::error_code() : where.error();
  };
  const auto joined = [](event_loop& loop, opened& kept) {
    auto pc = listen_packet(loop, "udp6", "[::]:0");
    if (!pc) return pc.error();
    const auto lo = interface::by_name("lo");
    if (!lo) return lo.error();
    if (const auto done = pc->join_group(*lo, ip_address::parse("ff02::114").value()); !done) return done.error();
    return keep(std::move(pc), kept);
  };
  // The loop takes a smaller ring, or a ring that is not registered.
  const std::vector<std::string> dispensable_of_a_loop{"io_uring_register", "mmap", "madvise"};
  return {
      {"event_loop", new_loop, dispensable_of_a_loop},
      {"udp6", packet("udp6", "[::1]:0")},
      {"udp", packet("udp", "[::]:0", {.reuse_port = true, .receive_buffer = 100'000, .send_buffer = 100'000})},
      // The C library looks the zone up with a socket of another family.
      {"udp6 with a zone", packet("udp6", "[ff02::114%lo]:0", {.device = "lo"}), {"socket"}},
      {"ip6", packet("ip6:253", "::1")},
      {"icmp6", packet("icmp6", "::1")},
      {"dialed ip6", [](event_loop& on, opened& kept) { return keep(dial_packet(on, "ip6:253", "::1"), kept); }},
      {"dial_packet", [](event_loop& on, opened& kept) { return keep(dial_packet(on, "udp6", "[::1]:9"), kept); }},
      {"listen_tcp", [](event_loop& on, opened& kept) { return keep(listen_tcp(on, "tcp6", "[::1]:0"), kept); }},
      // If the kernel does not give the ends of a connection, the dial assumes that it did not connect to itself.
      {"dial_tcp", dial_there, {"getpeername", "getsockname"}},
      {"adopt_packet",
       [](event_loop& on, opened& kept) { return adopted(udp, kept, [&](int fd) { return adopt_packet(on, fd); }); }},
      {"borrow_packet", [](event_loop& on, opened& kept) { return keep(borrow_packet(on, udp.get()), kept); }},
      {"adopt_listener",
       [](event_loop& on, opened& kept) {
         return adopted(listening, kept, [&](int fd) { return adopt_listener(on, fd); });
       }},
      {"adopt_tcp", [](event_loop& on,
                       opened& kept) { return adopted(connected, kept, [&](int fd) { return adopt_tcp(on, fd); }); }},
      {"loop_group",
       [=](event_loop&, opened& kept) { return group(kept, [](loop_group&) { return std::error_code(); }); },
       dispensable_of_a_loop},
      {"listen_group", [=](event_loop&, opened& kept) { return group(kept, listening_group); }, dispensable_of_a_loop},
      {"interfaces", [](event_loop&, opened& kept) { return keep(interface::all_addresses(), kept); }},
      {"join_group", joined},
      {"signals",
       [](event_loop& on, opened& kept) {
         const std::array numbers{SIGUSR1};
         return keep(signals::open(on, numbers), kept);
       }},
  };
}

bool still_works(event_loop& loop) {
  bool works = false;
  loop.run([](event_loop& on, bool& all_right) -> task<> {
    auto pc = open_conn(on);
    const endpoint self = name_of(pc);
    std::array<std::byte, 16> buffer;
    const auto sent = co_await pc.write_to(as_payload("still"), self);
    const auto got = co_await pc.read_from(buffer);
    all_right = sent && got && as_text(got->payload) == "still";
  }(loop, works));
  return works;
}

/// The unwanted remains of an attempt with a fault.
std::string traces_of(const opening& what, event_loop& loop, std::size_t descriptors) {
  std::string wrong;
  if (open_descriptors() != descriptors) wrong += " leaves descriptors open;";
  if (opened again; what.open(loop, again)) wrong += " does not work afterwards;";
  if (!still_works(loop)) wrong += " takes the loop along;";
  return wrong;
}

std::string failing_calls() {
  watch_set_up_calls();
  event_loop loop;
  std::string wrong;
  for (const opening& what : openings()) {
    opened first;
    if (const auto error = what.open(loop, first)) return what.name + (" does not work: " + error.message());
    first.reset();
    (void)still_works(loop);
    const std::size_t descriptors = open_descriptors();
    std::size_t nth = 1;
    for (bool met = true; met && nth < 500; ++nth) {
      std::error_code error;
      opened kept;
      fail_call(nth);
      try {
        error = what.open(loop, kept);
      } catch (const std::bad_alloc&) {
        error = make_error_code(std::errc::not_enough_memory);
      }
      const std::string call = failed_call();
      kept.reset();
      met = !call.empty();
      const std::string about = "\n" + std::string(what.name) + ", call " + std::to_string(nth) + ", " + call + ":";
      // By readiness a loop that cannot wait tries again with its next turn, and a socket may stay non-blocking.
      const bool is_tried_again = loop.driver() == loop_driver::readiness && (call == "epoll_ctl" || call == "fcntl");
      const bool can_do_without = is_tried_again || std::ranges::find(what.dispensable, call) != what.dispensable.end();
      if (met && !error && !can_do_without) wrong += about + " succeeds without it";
      if (error && error != std::errc::too_many_files_open && error != std::errc::not_enough_memory) {
        wrong += about + " " + error.message();
      }
      if (const auto traces = traces_of(what, loop, descriptors); !traces.empty()) wrong += about + traces;
    }
    if (nth < 3) wrong += "\n" + std::string(what.name) + ": nothing failed";
  }
  return wrong;
}

TEST_CASE("whichever system call of an opening fails, the opening gives an error and leaves nothing behind") {
  need_ipv6();
  const permitted_pings inside;
  CHECK(in_child(failing_calls) == "");
}

std::string ending_descriptors() {
  event_loop loop;
  std::string wrong;
  rlimit usual{};
  require(::getrlimit(RLIMIT_NOFILE, &usual) == 0, "getrlimit");
  for (const opening& what : openings()) {
    opened first;
    if (const auto error = what.open(loop, first)) return what.name + (" does not work: " + error.message());
    first.reset();
    const std::size_t descriptors = open_descriptors();
    bool refused = true;
    for (rlim_t more = 0; refused && more < 20; ++more) {
      // The next descriptor that the kernel assigns is the lowest free one.
      const int lowest = ::dup(0);
      ::close(lowest);
      const rlimit few{.rlim_cur = static_cast<rlim_t>(lowest) + more, .rlim_max = usual.rlim_max};
      require(::setrlimit(RLIMIT_NOFILE, &few) == 0, "setrlimit");
      opened kept;
      const auto error = what.open(loop, kept);
      require(::setrlimit(RLIMIT_NOFILE, &usual) == 0, "setrlimit");
      kept.reset();
      refused = static_cast<bool>(error);
      const std::string about = "\n" + std::string(what.name) + ", " + std::to_string(more) + " descriptors:";
      if (error && error != std::errc::too_many_files_open) wrong += about + " " + error.message();
      if (more == 0 && !error) wrong += about + " succeeds without one";
      if (const auto traces = traces_of(what, loop, descriptors); !traces.empty()) wrong += about + traces;
    }
    if (refused) wrong += "\n" + std::string(what.name) + " does not succeed with 20 more";
  }
  return wrong;
}

TEST_CASE("with few descriptors left an opening succeeds or gives its error, and leaves nothing behind") {
  need_ipv6();
#if defined(__SANITIZE_ADDRESS__)
  SKIP("the sanitizers need descriptors themselves");
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(undefined_behavior_sanitizer)
  SKIP("the sanitizers need descriptors themselves");
#endif
#endif
  const permitted_pings inside;
  CHECK(in_child(ending_descriptors) == "");
}

}  // namespace
