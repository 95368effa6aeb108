// What a failure tells: the operation, its object, the reason and the cure.
#include "uring6/failure.hpp"

#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <csignal>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <type_traits>
#include <vector>

#include "support/case/allocations.hpp"
#include "support/case/coroutines.hpp"
#include "support/machine/environment.hpp"
#include "sys/failure/failure_note.hpp"
#include "uring6/bpf/instruction.hpp"
#include "uring6/event_loop.hpp"
#include "uring6/interface.hpp"
#include "uring6/ip_options.hpp"
#include "uring6/listen.hpp"
#include "uring6/listen_group.hpp"
#include "uring6/loop_group.hpp"
#include "uring6/memory_link.hpp"
#include "uring6/packet_conn.hpp"
#include "uring6/resolve.hpp"
#include "uring6/signals.hpp"
#include "uring6/tcp.hpp"

namespace uring6 {
namespace {

template <class T>
std::string text_of(const result<T>& r) {
  REQUIRE_FALSE(r.has_value());
  const std::string text = fail(r).text();
  UNSCOPED_INFO(text);
  return text;
}

bool has(const std::string& text, std::string_view part) {
  INFO(text);
  return text.find(part) != std::string::npos;
}

TEST_CASE("a failure to open names the function, the network, the address, the reason and the cure") {
  test::need_ipv6();
  event_loop loop;
  CHECK(text_of(listen_packet(loop, "udp7", "[::1]:0")).starts_with("listen_packet udp7 [::1]:0: no such network"));
  CHECK(text_of(listen_packet(loop, "udp6", "nowhere")).starts_with("listen_packet udp6 nowhere: "));
  const auto absent = listen_packet(loop, "udp6", "[2001:db8::1]:53");
  CHECK(
      text_of(absent) ==
      "listen_packet udp6 [2001:db8::1]:53: Cannot assign requested address (no interface has the address: ip address "
      "lists them)");
  CHECK(absent.error() == std::errc::address_not_available);

  const auto first = listen_tcp(loop, "tcp6", "[::1]:0");
  REQUIRE(first);
  const std::string taken = first->local_endpoint()->to_string();
  CHECK(text_of(listen_tcp(loop, "tcp6", taken)) ==
        "listen_tcp tcp6 " + taken + ": Address already in use (another socket has the port: ss -nlp names it)");
  CHECK(text_of(listen_tcp(loop, "tcp6", *first->local_endpoint())).starts_with("listen_tcp tcp6 " + taken + ": "));
  CHECK(text_of(adopt_packet(loop, -1)).starts_with("adopt_packet descriptor -1: "));
  CHECK(text_of(borrow_packet(loop, -1)).starts_with("borrow_packet descriptor -1: "));
  CHECK(text_of(adopt_tcp(loop, -1)).starts_with("adopt_tcp descriptor -1: "));
  CHECK(text_of(adopt_listener(loop, -1)).starts_with("adopt_listener descriptor -1: "));
  CHECK(text_of(dial_packet(loop, "udp6", "::1")).starts_with("dial_packet udp6 ::1: "));
  CHECK(text_of(dial_packet(loop, "udp6", "[::1]:9", {.local = endpoint{*ip_address::parse("2001:db8::1"), 0}}))
            .starts_with("dial_packet udp6 [::1]:9 from [2001:db8::1]:0: Cannot assign"));
  CHECK(text_of(listen_packet(loop, "udp6", "[::]:0", {.device = "nope0"}))
            .starts_with("listen_packet udp6 [::]:0 on nope0: no such network interface"));
  loop_group group(loop_group_options{.loops = 1});
  const auto serve = [](packet_conn) -> task<> { co_return; };
  CHECK(text_of(listen_group(group, "udp6", "[2001:db8::1]:53", serve))
            .starts_with("listen_packet udp6 [2001:db8::1]:53: Cannot assign"));
  CHECK(
      text_of(listen_group(group, "udp7", "[::1]:0", serve)).starts_with("listen_group udp7 [::1]:0: no such network"));
}

TEST_CASE("a failure to await signals names their numbers") {
  event_loop loop;
  const std::vector<int> numbers{SIGUSR1, SIGKILL};
  CHECK(text_of(signals::open(loop, numbers)) ==
        "signals::open " + std::to_string(SIGUSR1) + " " + std::to_string(SIGKILL) + ": value out of range");
  CHECK(text_of(signals::open(loop, std::span<const int>())) == "signals::open: Invalid argument");
}

TEST_CASE("a failure to change the options of a memory_link names the call") {
  event_loop loop;
  memory_link link(loop);
  CHECK(text_of(link.set_options({.loss = 2})) == "memory_link::set_options: value out of range");
}

TEST_CASE("a failure of an option or a membership names its value, group and interface") {
  test::need_ipv6();
  event_loop loop;
  auto pc = or_throw(listen_packet(loop, "udp6", "[::1]:0"));
  CHECK(text_of(pc.set_hop_limit(256)) == "set_hop_limit 256: value out of range");
  CHECK(text_of(pc.set_traffic_class(-2)).starts_with("set_traffic_class -2: "));
  CHECK(text_of(pc.set_multicast_hop_limit(300)).starts_with("set_multicast_hop_limit 300: "));
  const ip_address group = *ip_address::parse("ff02::114");
  const interface absent { .index = 123456, .name = "eth7" };
  CHECK(text_of(pc.join_group(absent, group)) ==
        "join_group ff02::114 on eth7: no such network interface or zone (ip link lists the interfaces)");
  CHECK(text_of(pc.leave_group(interface{.index = 1}, group)).starts_with("leave_group ff02::114 on interface 1: "));
  CHECK(text_of(pc.join_source_specific_group(absent, *ip_address::parse("ff3e::1"), ip_address::loopback()))
            .starts_with("join_source_specific_group ff3e::1 from ::1 on eth7: "));
  CHECK(text_of(pc.set_checksum(-3)).starts_with("set_checksum -3: "));
  CHECK(text_of(ip_options(pc).set_hop_limit(256)) == "set_hop_limit 256: value out of range");
  CHECK(text_of(ip_options(pc).set_traffic_class(256)).starts_with("set_traffic_class 256: "));
  (void)pc.close();
  CHECK(text_of(pc.detach_bpf()) == "detach_bpf: the connection is closed");
  CHECK(text_of(pc.attach_bpf(std::span<const bpf::raw_instruction>())) ==
        "attach_bpf of 0 instructions: the connection is closed");
  CHECK(text_of(pc.set_multicast_loopback(true)) == "set_multicast_loopback on: the connection is closed");
}

TEST_CASE("a failure to dial or to look up names what was dialed") {
  test::need_ipv6();
  event_loop loop;
  test::run(loop, [&]() -> task<> {
    std::string silent;
    {
      auto listener = or_throw(listen_tcp(loop, "tcp6", "[::1]:0"));
      silent = listener.local_endpoint()->to_string();
    }
    const auto refused = co_await dial_tcp(loop, "tcp6", silent);
    CHECK(text_of(refused) == "dial_tcp " + silent + ": Connection refused (no socket listens there)");
    const auto wrong = co_await dial_tcp(loop, "tcp6", "here");
    CHECK(text_of(wrong).starts_with("dial_tcp tcp6 here: "));
    const auto word = co_await dial_tcp(loop, "tcp9", "[::1]:1");
    CHECK(text_of(word).starts_with("dial_tcp tcp9: no such network"));
    const auto by_host = co_await dial_tcp(loop, "tcp9", "host", "80");
    CHECK(text_of(by_host).starts_with("dial_tcp tcp9: no such network"));
    const resolve_options numeric{.numeric_only = true};
    const auto found = co_await resolve("nobody.invalid", "80", numeric);
    CHECK(text_of(found).starts_with("resolve nobody.invalid, service 80: "));
    const auto by_name = co_await dial_tcp(loop, "tcp6", "0x7f000001", "80");
    CHECK(text_of(by_name).starts_with("resolve 0x7f000001, service 80: "));
  });
}

TEST_CASE("or_throw throws the text of the failure, or the caller's") {
  test::need_ipv6();
  event_loop loop;
  std::string thrown;
  std::error_code code;
  try {
    (void)or_throw(listen_packet(loop, "udp6", "[2001:db8::1]:53"));
  } catch (const std::system_error& error) {
    const std::system_error copy = error;
    thrown = error.what();
    code = copy.code();
  }
  CHECK(has(thrown, "listen_packet udp6 [2001:db8::1]:53: "));
  CHECK(has(thrown, "ip address"));
  CHECK(code == std::errc::address_not_available);
  try {
    or_throw(result<void>(fail(errc::closed)), "the second conn");
  } catch (const std::system_error& error) {
    thrown = error.what();
  }
  CHECK(thrown == "the second conn: the connection is closed");
  try {
    or_throw(result<void>(fail(errc::closed)));
  } catch (const std::system_error& error) {
    thrown = error.what();
  }
  CHECK(thrown == "the connection is closed");
}

TEST_CASE("a note goes along when a result is copied, converted, chained and handed on") {
  event_loop loop;
  const auto opened = listen_packet(loop, "udp7", "[::1]:0");
  const std::string text = text_of(opened);
  const auto handed_on = [&]() -> result<int> {
    if (!opened) return fail(opened);
    return 1;
  };
  CHECK(text_of(handed_on()) == text);
  const result<int> number = handed_on();
  result<int> copy = number;
  CHECK(text_of(copy) == text);
  CHECK(text_of(result<long>(number)) == text);
  CHECK(text_of(number.transform([](int n) { return n + 1; })) == text);
  CHECK(text_of(number.transform([](int) {})) == text);
  CHECK(text_of(number.and_then([](int) { return result<std::string>("one"); })) == text);
  result<void> nothing = fail(number);
  CHECK(text_of(nothing) == text);
  CHECK(text_of(nothing.and_then([] { return result<int>(1); })) == text);
  copy = 1;
  copy = result<int>(fail(errc::closed));
  CHECK(text_of(copy) == "the connection is closed");
  result<std::string> assigned("value");
  assigned = result<std::string>(fail(opened));
  CHECK(text_of(assigned) == text);
  assigned = result<std::string>(fail(errc::closed));
  CHECK(text_of(assigned) == "the connection is closed");
}

TEST_CASE("the latest 64 notes are kept, and an older failure has its message alone") {
  std::vector<failure> all;
  for (int i = 0; i < 65; ++i) {
    const auto number = detail::keep_note(make_error_code(errc::closed), "try", std::to_string(i));
    all.emplace_back(make_error_code(errc::closed), number);
  }
  CHECK(all[0].text() == "the connection is closed");
  CHECK(all[1].text() == "try 1: the connection is closed");
  CHECK(all[64].text() == "try 64: the connection is closed");
  const std::string too_long(500, 'x');
  const failure cut(make_error_code(errc::closed), detail::keep_note(make_error_code(errc::closed), "try", too_long));
  CHECK(cut.text() == "try " + std::string(188, 'x') + ": the connection is closed");
  const failure bare(make_error_code(errc::closed), detail::keep_note(make_error_code(errc::closed), "try", ""));
  CHECK(bare.text() == "try: the connection is closed");
}

TEST_CASE("notes are made and read by several threads at once", "[threads]") {
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 500; ++i) {
        const std::string object = std::to_string(t) + "." + std::to_string(i);
        const failure why(make_error_code(errc::closed),
                          detail::keep_note(make_error_code(errc::closed), "try", object));
        const std::string text = why.text();
        if (text != "try " + object + ": the connection is closed" && text != "the connection is closed") ++wrong;
      }
    });
  }
  for (std::thread& each : threads) each.join();
  CHECK(wrong == 0);
}

TEST_CASE("a result that fails without a note allocates nothing, and results are as large as an error code needs") {
  const test::allocation_count allocations;
  const result<int> failed = fail(errc::closed);
  const result<int> copy = failed;
  CHECK(allocations.since() == 0);
  CHECK(copy.error() == errc::closed);
  struct {
    std::error_code code;
    bool has_value;
  } least;
  CHECK(sizeof(result<void>) == sizeof least);
  CHECK(sizeof(result<std::size_t>) == sizeof least);
}

static_assert(std::is_trivially_copyable_v<result<int>> && std::is_trivially_destructible_v<result<void>>);

}  // namespace
}  // namespace uring6
