// The reports of probe() on machines that lack something: each is made in a child process or a namespace.
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cerrno>

#include "support/machine/capabilities.hpp"
#include "support/machine/environment.hpp"
#include "support/machine/link_control.hpp"
#include "support/machine/network_namespace.hpp"
#include "support/machine/user_namespace.hpp"
#include "support/process/forked.hpp"
#include "uring6/probe.hpp"

namespace {

using namespace uring6;
using Catch::Matchers::ContainsSubstring;

/// "ring=R buffers=B" and each sentence of `missing` on a line of its own.
std::string summary(const probe_report& report) {
  std::string text = std::string("ring=") + (report.ring ? "yes" : "no") + " ready=" + (report.ready() ? "yes" : "no");
  for (const std::string& each : report.missing) text += "\n" + each;
  return text;
}

/// What a probe of io_uring finds. (`automatic` finds readiness where io_uring is refused.)
std::string probe_without(long system_call, int error_number) {
  return test::in_child([=] {
    test::forbid_system_call(system_call, error_number);
    return summary(probe({.driver = loop_driver::io_uring}));
  });
}

TEST_CASE("a seccomp profile that forbids io_uring_setup is named") {
  const std::string said = probe_without(SYS_io_uring_setup, EPERM);
  CHECK_THAT(said, ContainsSubstring("ring=no ready=no"));
  CHECK_THAT(said, ContainsSubstring("seccomp profile forbids io_uring"));
}

TEST_CASE("a sandbox that hides io_uring_setup is distinguished from an old kernel") {
  const std::string said = probe_without(SYS_io_uring_setup, ENOSYS);
  CHECK_THAT(said, ContainsSubstring("ring=no ready=no"));
  CHECK_THAT(said, ContainsSubstring("seccomp profile hides it"));
}

TEST_CASE("a ring without memory for it is explained by the limit") {
  const std::string said = probe_without(SYS_io_uring_setup, ENOMEM);
  CHECK_THAT(said, ContainsSubstring("ring=no ready=no"));
  CHECK_THAT(said, ContainsSubstring("RLIMIT_MEMLOCK"));
}

TEST_CASE("a profile that allows io_uring_setup alone is named") {
  test::need_io_uring();
  test::need_ipv6();
  for (const long forbidden : {SYS_io_uring_register, SYS_io_uring_enter}) {
    const std::string said = probe_without(forbidden, EPERM);
    CAPTURE(forbidden);
    CHECK_THAT(said, ContainsSubstring("ready=no"));
    CHECK_THAT(said, ContainsSubstring("by a seccomp profile"));
  }
}

TEST_CASE("a machine without IPv6 sockets is reported as that") {
  test::need_io_uring();
  const std::string said = probe_without(SYS_socket, EAFNOSUPPORT);
  CHECK_THAT(said, ContainsSubstring("ring=yes ready=no"));
  CHECK_THAT(said, ContainsSubstring("no IPv6 socket can be opened"));
}

TEST_CASE("a missing property of lo is reported with the command that sets it") {
  test::need_ipv6();
  const test::network_namespace space;
  space.run([] {
    test::set_link(test::loopback_index, test::link_state::down);
    const probe_report down = probe();
    CHECK(down.driver != loop_driver::automatic);
    CHECK(down.ipv6);
    CHECK_FALSE(down.ipv6_loopback);
    CHECK_FALSE(down.multishot_receive);
    REQUIRE(down.missing.size() == 1);
    CHECK_THAT(down.missing.front(), ContainsSubstring("ip link set lo up"));

    test::set_link(test::loopback_index, test::link_state::up);
    CHECK(probe().ready());

    test::write_sysctl("net/ipv6/conf/lo/disable_ipv6", "1");
    const probe_report off = probe();
    REQUIRE(off.missing.size() == 1);
    CHECK_THAT(off.missing.front(), ContainsSubstring("net.ipv6.conf.lo.disable_ipv6=0"));

    test::write_sysctl("net/ipv6/conf/lo/disable_ipv6", "0");
    test::delete_address(test::loopback_index, ip_address::loopback(), 128);
    const probe_report bare = probe();
    REQUIRE(bare.missing.size() == 1);
    CHECK_THAT(bare.missing.front(), ContainsSubstring("ip -6 address add ::1/128 dev lo"));
  });
}

TEST_CASE("dropped privileges are reported") {
  if (const probe_report before = probe(); !before.net_raw || !before.net_admin)
    SKIP("there is no privilege to drop: " + test::user_namespace_outcome());
  const std::string after = test::in_child([] {
    test::drop_capabilities();
    const probe_report report = probe();
    return std::string(report.net_raw || report.net_admin ? "privileged" : "ordinary");
  });
  CHECK(after == "ordinary");
}

}  // namespace
