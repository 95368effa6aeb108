// A process without a free descriptor (RLIMIT_NOFILE): calls that need one give an error, open conns work on, and
// nothing leaks.
#include <sys/resource.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <string>
#include <system_error>
#include <vector>

#include "net/kernel/segment_limit.hpp"
#include "support/case/coroutines.hpp"
#include "support/machine/descriptors.hpp"
#include "support/machine/environment.hpp"
#include "support/traffic/conns.hpp"
#include "uring6/group_keeper.hpp"
#include "uring6/interface.hpp"
#include "uring6/interface_monitor.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

/// The undefined behavior sanitizer opens a pipe to check an object's type, and reports a bad type if it cannot.
void skip_where_descriptors_are_needed() {
#if defined(__SANITIZE_ADDRESS__)
  SKIP("the sanitizers need descriptors themselves");
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(undefined_behavior_sanitizer)
  SKIP("the sanitizers need descriptors themselves");
#endif
#endif
}

/// While this object lives no descriptor can be opened. Open ones stay open.
class no_descriptors {
 public:
  no_descriptors() {
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before_) == 0);
    set(0);
  }
  no_descriptors(const no_descriptors&) = delete;
  no_descriptors& operator=(const no_descriptors&) = delete;
  ~no_descriptors() { set(before_.rlim_cur); }

 private:
  void set(rlim_t limit) {
    const rlimit wanted{.rlim_cur = limit, .rlim_max = before_.rlim_max};
    if (::setrlimit(RLIMIT_NOFILE, &wanted) != 0) throw std::system_error(errno, std::system_category(), "setrlimit");
  }

  rlimit before_{};
};

TEST_CASE("without a free descriptor the longest train is unknown, and with one it is known") {
  need_ipv6();
  skip_where_descriptors_are_needed();
  {
    const no_descriptors limit;
    CHECK_FALSE(detail::ask_segment_limit());
  }
  const auto limit = detail::ask_segment_limit();
  REQUIRE(limit);
  CHECK((limit == 64 || limit == 128));
  CHECK(detail::segment_limit() == limit);
}

TEST_CASE("without a free descriptor each opening gives its error, and leaks nothing") {
  need_ipv6();
  skip_where_descriptors_are_needed();
  event_loop loop;
  const std::size_t before = open_descriptors();
  const std::error_code exhausted(EMFILE, std::system_category());
  {
    const no_descriptors limit;
    for (int i = 0; i < 20; ++i) {
      const auto listened = listen_packet(loop, "udp6", "[::1]:0");
      REQUIRE_FALSE(listened);
      CHECK(listened.error() == exhausted);
      const auto dialed = dial_packet(loop, "udp6", "[::1]:9");
      REQUIRE_FALSE(dialed);
      CHECK(dialed.error() == exhausted);
      const auto made = event_loop::create();
      REQUIRE_FALSE(made);
      CHECK(made.error() == exhausted);
      CHECK(interface::all().error() == exhausted);
      CHECK(interface::by_name("lo").error() == exhausted);
      // A zone that cannot be looked up is not reported as unknown.
      CHECK(ip_address::parse("fe80::1%lo").error() == exhausted);
      CHECK(listen_packet(loop, "udp6", "[fe80::1%lo]:9").error() == exhausted);
    }
    CHECK_THROWS_WITH(event_loop(), Catch::Matchers::ContainsSubstring("RLIMIT_NOFILE"));
  }
  CHECK(open_descriptors() == before);
  CHECK(listen_packet(loop, "udp6", "[::1]:0"));
  CHECK(interface::by_name("lo"));
}

TEST_CASE("without a free descriptor no monitor of the network opens, and an open one and a kept membership work on") {
  need_ipv6();
  skip_where_descriptors_are_needed();
  event_loop loop;
  auto pc = open_conn(loop);
  interface_monitor monitor(loop);
  group_keeper keeper(loop, pc);
  const ip_address group = or_throw(ip_address::parse("ff01::114"));
  const std::size_t before = open_descriptors();
  run(loop, [&]() -> task<> {
    const no_descriptors limit;
    CHECK(interface_monitor::open(loop).error() == std::errc::too_many_files_open);
    CHECK(group_keeper::open(loop, pc).error() == std::errc::too_many_files_open);
    const auto unusable = co_await wait_until_usable(loop, ip_address::loopback());
    CHECK(unusable.error() == std::errc::too_many_files_open);
    for (bool all = false; !all;) {
      const auto got = co_await monitor.next();
      REQUIRE(got);
      all = got->what == interface_change::synchronized;
    }
    CHECK(keeper.keep("lo", group));
    CHECK(keeper.memberships().front().joined);
  });
  CHECK(open_descriptors() == before);
}

TEST_CASE("conns fail one by one once the descriptors are used up, and earlier ones work") {
  need_ipv6();
  skip_where_descriptors_are_needed();
  event_loop loop;
  run(loop, [&]() -> task<> {
    const std::size_t before = open_descriptors();
    rlimit usual{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &usual) == 0);
    std::vector<packet_conn> open;
    int refused = 0;
    {
      // The kernel assigns the lowest free descriptors.
      const rlimit few{.rlim_cur = before + 12, .rlim_max = usual.rlim_max};
      REQUIRE(::setrlimit(RLIMIT_NOFILE, &few) == 0);
      for (int i = 0; i < 40; ++i) {
        auto conn = listen_packet(loop, "udp6", "[::1]:0");
        if (conn) {
          open.push_back(std::move(*conn));
        } else {
          CHECK(conn.error() == std::errc::too_many_files_open);
          ++refused;
        }
      }
      const std::size_t opened = open.size();
      std::array<std::byte, 16> buffer;
      for (std::size_t i = 0; i < opened; ++i) {
        const auto sent = co_await open[i].write_to(numbered(i), name_of(open[(i + 1) % opened]));
        CHECK(sent);
      }
      for (std::size_t i = 0; i < opened; ++i) {
        const auto got = co_await open[(i + 1) % opened].read_from(buffer);
        REQUIRE(got);
        CHECK(number_in(got->payload) == i);
      }
      // Closing one conn frees a descriptor for another.
      REQUIRE(open.back().close());
      const auto again = listen_packet(loop, "udp6", "[::1]:0");
      CHECK(again);
      CHECK_FALSE(listen_packet(loop, "udp6", "[::1]:0"));
    }
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &usual) == 0);
    CHECK(open.size() > 0);
    CHECK(refused > 0);
    for (packet_conn& conn : open) (void)conn.close();
    CHECK(open_descriptors() == before);
  });
}

}  // namespace
