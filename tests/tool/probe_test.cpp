// uring6 probe, and the command's errors on a machine that lacks something.
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cerrno>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "support/machine/link_control.hpp"
#include "support/machine/network_namespace.hpp"
#include "support/process/forked.hpp"
#include "tool/command.hpp"

namespace {

using namespace uring6::test;
using Catch::Matchers::ContainsSubstring;

TEST_CASE("uring6 probe: reports the machine's features, as lines and as JSON") {
  utsname system{};
  REQUIRE(::uname(&system) == 0);

  const program_end text = uring6_command({"probe"});
  CHECK(text.exit_status == 0);
  CHECK(text.errors.empty());
  CHECK_THAT(text.output, ContainsSubstring(system.release));
  CHECK_THAT(text.output, ContainsSubstring("missing            nothing"));

  const program_end end = uring6_command({"probe", "--json"});
  CHECK(end.exit_status == 0);
  CHECK(end.errors.empty());
  const auto said = as_json(end.output);
  CHECK(said.at("schema") == 1);
  CHECK(said.at("uring6") == URING6_COMMAND_VERSION);
  CHECK(said.at("command") == "probe");
  CHECK(said.at("ready") == true);
  CHECK(said.at("kernel") == system.release);
  CHECK(said.at("missing").empty());
  CHECK(names_of(said.at("io_uring")) == std::vector<std::string>{"buffer_rings", "completion_entries", "features",
                                                                  "multishot_receive", "registered_descriptor", "ring",
                                                                  "setup_flags", "submission_entries",
                                                                  "zero_copy_send"});
  CHECK(said.at("io_uring").at("ring") == true);
  CHECK(said.at("io_uring").at("multishot_receive") == true);
  CHECK(said.at("io_uring").at("submission_entries") == 256);
  CHECK_FALSE(said.at("io_uring").at("setup_flags").empty());
  CHECK(names_of(said.at("network")) == std::vector<std::string>{"ipv6", "ipv6_loopback", "largest_receive_buffer",
                                                                 "largest_send_buffer", "longest_train",
                                                                 "receive_trains"});
  CHECK(said.at("network").at("ipv6_loopback") == true);
  CHECK(names_of(said.at("privileges")) == std::vector<std::string>{"net_admin", "net_raw"});
}

TEST_CASE("uring6: without io_uring it ends with 3, the reason and the remedy") {
  struct refusal {
    int error_number;
    const char* said;
  };
  for (const auto& [error_number, said] : {refusal{EPERM, "seccomp profile forbids io_uring"},
                                           refusal{ENOSYS, "io_uring is missing"}, refusal{ENOMEM, "RLIMIT_MEMLOCK"}}) {
    CAPTURE(error_number);
    const program_settings without{.prepare = [error_number] {
      ::setenv("URING6_DRIVER", "io_uring", 1);
      forbid_system_call(SYS_io_uring_setup, error_number);
    }};

    const program_end demo = uring6_command({"demo"}, without);
    CHECK(demo.exit_status == 3);
    CHECK(demo.output.empty());
    CHECK_THAT(demo.errors, ContainsSubstring(said));

    const program_end demo_json = uring6_command({"demo", "--json"}, without);
    CHECK(demo_json.exit_status == 3);
    CHECK(demo_json.errors.empty());
    const auto error = as_json(demo_json.output).at("error");
    CHECK(error.at("kind") == "environment");
    CHECK(error.at("exit_status") == 3);
    CHECK_THAT(error.at("message").get<std::string>(), ContainsSubstring(said));

    const program_end probe = uring6_command({"probe"}, without);
    CHECK(probe.exit_status == 3);
    CHECK_THAT(probe.output, ContainsSubstring(said));

    const program_end probe_json = uring6_command({"probe", "--json"}, without);
    CHECK(probe_json.exit_status == 3);
    const auto report = as_json(probe_json.output);
    CHECK(report.at("ready") == false);
    CHECK(report.at("io_uring").at("ring") == false);
    CHECK(report.at("io_uring").at("multishot_receive").is_null());
    REQUIRE_FALSE(report.at("missing").empty());
    CHECK_THAT(report.at("missing").at(0).get<std::string>(), ContainsSubstring(said));
  }
}

TEST_CASE("uring6: where io_uring is forbidden it runs by readiness, and says so and why") {
  const program_settings without{.prepare = [] {
    ::unsetenv("URING6_DRIVER");
    forbid_system_call(SYS_io_uring_setup, EPERM);
  }};
  const program_end demo = uring6_command({"demo", "--count", "1000"}, without);
  CHECK(demo.exit_status == 0);
  CHECK_THAT(demo.errors, ContainsSubstring("runs by readiness (epoll): a seccomp profile forbids io_uring"));
  CHECK(is_one_line(demo.errors));

  const program_end probe_json = uring6_command({"probe", "--json"}, without);
  CHECK(probe_json.exit_status == 0);
  const auto report = as_json(probe_json.output);
  CHECK(report.at("ready") == true);
  CHECK(report.at("driver") == "readiness");
  CHECK_THAT(report.at("degraded").at(0).get<std::string>(), ContainsSubstring("seccomp profile forbids io_uring"));
}

TEST_CASE("uring6: with too few descriptors it says so, wherever they run out") {
  std::map<int, int> ends;
  for (rlim_t descriptors = 4; descriptors <= 24; ++descriptors) {
    CAPTURE(descriptors);
    const program_settings few{.prepare = [descriptors] {
      const rlimit limit{.rlim_cur = descriptors, .rlim_max = descriptors};
      ::setrlimit(RLIMIT_NOFILE, &limit);
    }};
    const program_end end = uring6_command({"demo", "--count", "10"}, few);
    CHECK(end.signal == 0);
    ++ends[end.exit_status];
    if (end.exit_status == 0) continue;
    CHECK_THAT(end.errors, ContainsSubstring("too many open files", Catch::CaseSensitive::No));
    CHECK(is_one_line(end.errors));
  }
  CAPTURE(ends);
  CHECK(ends[3] > 0);  // there is no descriptor for a ring
  CHECK(ends[4] > 0);  // there are none for the demo's sockets
  CHECK(ends[0] > 0);
  CHECK(ends.size() == 3);
}

TEST_CASE("uring6: with lo down it ends with 3 and the command that sets it up") {
  const network_namespace space;
  const auto inside = space.enter();
  set_link(loopback_index, link_state::down);
  const program_end down = uring6_command({"demo"});
  CHECK(down.exit_status == 3);
  CHECK_THAT(down.errors, ContainsSubstring("ip link set lo up"));
}

}  // namespace
