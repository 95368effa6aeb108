// uring6 demo: every datagram and each of its control fields, on ::1 and to a group, as lines and as JSON.
#include <linux/filter.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <chrono>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <tuple>
#include <vector>

#include "support/case/eventually.hpp"
#include "support/machine/link_control.hpp"
#include "support/machine/network_namespace.hpp"
#include "support/machine/veth_pair.hpp"
#include "support/process/program.hpp"
#include "sys/socket/file_descriptor.hpp"
#include "tool/command.hpp"
#include "uring6/format.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::EndsWith;
using nlohmann::json;

/// Destination, hop limit, DSCP, ECN.
using shown = std::tuple<std::string, int, int, int>;

std::multiset<shown> expected_samples(bool with_group) {
  std::multiset<shown> all;
  for (const int dscp : {0, 10, 46}) {
    for (const int hop_limit : {0, 1, 64, 255}) all.emplace("::1", hop_limit, dscp, 0);
  }
  if (with_group) {
    all.emplace("ff01::114", 1, 0, 0);
    all.emplace("ff01::114", 64, 10, 0);
    all.emplace("ff01::114", 255, 46, 0);
  }
  return all;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

/// Whether a whole line matches the expression.
bool has_line(const std::string& text, const std::string& expression) {
  const std::regex form(expression);
  return std::ranges::any_of(lines_of(text), [&](const std::string& line) { return std::regex_match(line, form); });
}

std::string burst_line(const std::string& received, const std::string& wanted, const std::string& length) {
  return "burst: " + received + " of " + wanted + " datagrams of " + length +
         R"( octets in \d+\.\d{3} s: \d+ datagrams/s, \d+\.\d{4} system calls per datagram)";
}

/// The socket of a process that is bound to the unspecified address: the demo's server.
file_descriptor server_of(pid_t process) {
  const file_descriptor handle(static_cast<int>(::syscall(SYS_pidfd_open, process, 0)));
  REQUIRE(handle.get() >= 0);
  for (int number = 3; number < 100; ++number) {
    file_descriptor copy(static_cast<int>(::syscall(SYS_pidfd_getfd, handle.get(), number, 0)));
    sockaddr_in6 local{};
    socklen_t length = sizeof local;
    if (copy.get() < 0 || ::getsockname(copy.get(), reinterpret_cast<sockaddr*>(&local), &length) != 0) continue;
    if (local.sin6_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&local.sin6_addr) && local.sin6_port != 0) return copy;
  }
  return file_descriptor();
}

std::int64_t now_ns() {
  const auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(since_epoch).count();
}

TEST_CASE("uring6 demo: a line for each datagram, then the burst and the sum") {
  const veth_pair cable;
  const auto inside = cable.near.space.enter();
  const program_end end = uring6_command({"demo"});
  CHECK(end.exit_status == 0);
  CHECK(end.errors.empty());

  //                          time                    source      to      interface  hops  dscp  ecn   length
  const std::regex form(R"(\d\d:\d\d:\d\d\.\d{6}\s+\[(\S+)\]:\d+\s+(\S+)\s+(\S+)\s+(\d+)\s+(\d+)\s+(\d+)\s+(\d+))");
  std::multiset<shown> seen;
  for (const std::string& line : lines_of(end.output)) {
    std::smatch part;
    if (!std::regex_match(line, part, form)) continue;
    CAPTURE(line);
    seen.emplace(part[2], std::stoi(part[4]), std::stoi(part[5]), std::stoi(part[6]));
    const bool to_group = part[2] == "ff01::114";
    CHECK(part[1] == (to_group ? fmt::format("{}", cable.near.link_local) : "::1"));
    CHECK(part[3] == (to_group ? "near0" : "lo"));
    CHECK(part[7] == "64");
  }
  CHECK(seen == expected_samples(true));
  CHECK_THAT(end.output, ContainsSubstring("group ff01::114 on near0\n"));
  CHECK(has_line(end.output, burst_line("100000", "100000", "64")));
  CHECK_THAT(end.output, ContainsSubstring("\n100015 sent, 100015 received, 0 lost\n"));
  CHECK_THAT(end.output, ContainsSubstring("\nloop: enters="));
  CHECK_THAT(end.output, ContainsSubstring("\nreceive pool: buffers="));
  CHECK_THAT(end.output, ContainsSubstring("\nserver: received_datagrams=1000"));
  CHECK_THAT(end.output, EndsWith("\nevery datagram arrived as it was sent\n"));
}

TEST_CASE("uring6 demo --json: all fields, nothing lost, fewer than 1 system call for 8 datagrams") {
  const veth_pair cable;
  const auto inside = cable.near.space.enter();
  const std::int64_t before = now_ns();
  const program_end end = uring6_command({"demo", "--json"});
  const std::int64_t after = now_ns();
  CHECK(end.exit_status == 0);
  CHECK(end.errors.empty());
  const json said = as_json(end.output);
  INFO(end.output);

  CHECK(names_of(said) == std::vector<std::string>{"burst", "command", "datagrams", "failures", "lost", "lost_because",
                                                   "multicast", "not_sent", "ok", "received", "schema", "sent",
                                                   "server", "statistics", "strangers", "uring6"});
  CHECK(said.at("schema") == 1);
  CHECK(said.at("uring6") == URING6_COMMAND_VERSION);
  CHECK(said.at("command") == "demo");
  CHECK(said.at("ok") == true);
  CHECK(said.at("server").get<std::string>().starts_with("[::]:"));
  CHECK(said.at("multicast") == json{{"group", "ff01::114"}, {"interface", "near0"}});
  CHECK(said.at("sent") == 100'015);
  CHECK(said.at("received") == 100'015);
  CHECK(said.at("lost") == 0);
  CHECK(said.at("lost_because") == json{{"receive_buffer_full", 0}, {"unexplained", 0}});
  CHECK(said.at("not_sent").empty());
  CHECK(said.at("strangers") == 0);
  CHECK(said.at("failures").empty());

  std::multiset<shown> seen;
  std::map<std::string, int> sources;
  for (const json& each : said.at("datagrams")) {
    CHECK(names_of(each) == std::vector<std::string>{"as_sent", "destination", "dscp", "duplicates", "ecn", "hop_limit",
                                                     "interface", "interface_index", "length", "received", "sent",
                                                     "source", "time_ns", "traffic_class"});
    const int traffic_class = each.at("traffic_class");
    seen.emplace(each.at("destination"), each.at("hop_limit"), each.at("dscp"), each.at("ecn"));
    ++sources[each.at("source")];
    CHECK(each.at("as_sent") == true);
    CHECK(each.at("duplicates") == 0);
    CHECK(each.at("sent") == true);
    CHECK(each.at("received") == true);
    CHECK(each.at("dscp") == traffic_class >> 2);
    CHECK(each.at("ecn") == (traffic_class & 3));
    CHECK(each.at("length") == 64);
    CHECK(each.at("time_ns").get<std::int64_t>() >= before);
    CHECK(each.at("time_ns").get<std::int64_t>() <= after);
    const bool to_group = each.at("destination") == "ff01::114";
    CHECK(each.at("interface") == (to_group ? "near0" : "lo"));
    CHECK(each.at("interface_index") == (to_group ? cable.near.link.index : loopback_index));
    CHECK(each.at("source").get<std::string>().starts_with(to_group ? fmt::format("[{}]:", cable.near.link_local)
                                                                    : "[::1]:"));
  }
  CHECK(seen == expected_samples(true));
  CHECK(sources.size() == 4);  // a client for each traffic class, and one for the group

  const json& burst = said.at("burst");
  CHECK(names_of(burst) == std::vector<std::string>{"altered", "datagrams_per_second", "duplicates", "duration_ns",
                                                    "length", "lost", "out_of_order", "received", "sent",
                                                    "system_calls", "system_calls_per_datagram", "wanted"});
  for (const char* all : {"wanted", "sent", "received"}) CHECK(burst.at(all) == 100'000);
  for (const char* none : {"lost", "altered", "duplicates", "out_of_order"}) CHECK(burst.at(none) == 0);
  CHECK(burst.at("duration_ns") > 0);
  CHECK(burst.at("datagrams_per_second") > 0.0);
  CHECK(burst.at("system_calls") > 0);
  CHECK(burst.at("system_calls_per_datagram").get<double>() * 8 < 1);

  const json& counted = said.at("statistics");
  CHECK(names_of(counted) == std::vector<std::string>{"loop", "receive_pool", "server"});
  CHECK(counted.at("loop").size() == counters_of<loop_stats>.size());
  const json& loop = counted.at("loop");
  CHECK(loop.at("enters").get<std::uint64_t>() + loop.at("sends").get<std::uint64_t>() >= burst.at("system_calls"));
  CHECK(counted.at("receive_pool").at("filled") >= counted.at("server").at("received_buffers"));
  CHECK(counted.at("server").at("received_datagrams") >= 100'015);
  CHECK(counted.at("server").at("received_trains") > 0);
  CHECK(counted.at("server").at("kernel_drops") == 0);
}

TEST_CASE("uring6 demo: without an interface for multicast it says so, and shows the rest") {
  const network_namespace space;
  const auto inside = space.enter();
  const program_end text = uring6_command({"demo", "--count", "1000"});
  CHECK(text.exit_status == 0);
  CHECK_THAT(text.output, ContainsSubstring(", no multicast\n"));
  CHECK_THAT(text.output, ContainsSubstring("multicast was left out: no interface will do: lo is a loopback"));
  CHECK_THAT(text.output, ContainsSubstring("\n1012 sent, 1012 received, 0 lost\n"));

  const program_end end = uring6_command({"demo", "--count", "0", "--json"});
  CHECK(end.exit_status == 0);
  const json said = as_json(end.output);
  CHECK(said.at("ok") == true);
  CHECK(said.at("sent") == 12);
  CHECK(said.at("multicast").at("interface").is_null());
  CHECK_THAT(said.at("multicast").at("left_out_because").get<std::string>(), ContainsSubstring("lo is a loopback"));
  CHECK(said.at("burst").at("wanted") == 0);
}

TEST_CASE("uring6 demo: --interface by name and by index, and the reasons that exclude an interface") {
  const veth_pair cable;
  const auto inside = cable.near.space.enter();
  for (const std::string& chosen : {std::string("near0"), std::to_string(cable.near.link.index)}) {
    const program_end end = uring6_command({"demo", "--count", "1", "--json", "--interface", chosen});
    CHECK(end.exit_status == 0);
    CHECK(as_json(end.output).at("multicast").at("interface") == "near0");
  }
  const program_end loopback = uring6_command({"demo", "--interface", "lo"});
  CHECK(loopback.exit_status == 3);
  CHECK_THAT(loopback.errors, ContainsSubstring("lo is a loopback"));
  set_link(cable.near.link.index, link_state::down);
  const program_end down = uring6_command({"demo", "--interface", "near0"});
  CHECK(down.exit_status == 3);
  CHECK_THAT(down.errors, ContainsSubstring("near0 is down"));
}

TEST_CASE("uring6 demo: bursts of the shortest and the longest datagrams, and of one") {
  const network_namespace space;
  const auto inside = space.enter();
  struct burst {
    const char* count;
    const char* length;
  };
  for (const auto& [count, length] :
       {burst{"1", "64"}, burst{"5000", "24"}, burst{"5000", "1452"}, burst{"300", "65527"}}) {
    CAPTURE(count, length);
    const program_end end = uring6_command({"demo", "--json", "--count", count, "--length", length});
    CHECK(end.exit_status == 0);
    const json said = as_json(end.output).at("burst");
    CHECK(said.at("received") == std::stoi(count));
    CHECK(said.at("length") == std::stoi(length));
    CHECK(said.at("lost") == 0);
  }
}

TEST_CASE("uring6 demo: ends with 1 and counts what was lost when datagrams do not arrive") {
  const network_namespace space;
  const auto inside = space.enter();
  // The longest datagram is longer than the MTU of lo: it is sent in fragments, and the host may not reassemble them.
  write_sysctl("net/ipv6/ip6frag_low_thresh", "0");
  write_sysctl("net/ipv6/ip6frag_high_thresh", "1");
  const program_end end = uring6_command({"demo", "--json", "--count", "1", "--length", "65527"});
  CHECK(end.exit_status == 1);
  CHECK(end.errors.empty());
  const json said = as_json(end.output);
  CHECK(said.at("ok") == false);
  CHECK(said.at("sent") == 13);
  CHECK(said.at("received") == 12);
  CHECK(said.at("lost") == 1);
  CHECK(said.at("lost_because") == json{{"receive_buffer_full", 0}, {"unexplained", 1}});
  CHECK(said.at("burst").at("lost") == 1);
}

TEST_CASE("uring6 demo: if the receiver is no longer reached it reports the losses, and the reason") {
  const network_namespace space;
  const auto inside = space.enter();
  // More than the test's time allows: the demo ends because the burst's questions stay without an answer.
  program demo({URING6_COMMAND, "demo", "--count", "100000000", "--length", "1000"});
  file_descriptor server;
  REQUIRE(eventually([&] { return (server = server_of(demo.id())).get() >= 0; }));
  // From now on the kernel drops datagrams that are longer than a sample.
  std::array<sock_filter, 4> program_text{{
      BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
      BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 500, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, 0),
      BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
  }};
  const sock_fprog filter{.len = program_text.size(), .filter = program_text.data()};
  REQUIRE(::setsockopt(server.get(), SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) == 0);
  const program_end end = demo.wait();
  INFO(end.output);
  CHECK(end.exit_status == 1);
  CHECK(end.errors.empty());
  CHECK(has_line(end.output, burst_line(R"(\d+)", "100000000", "1000")));
  CHECK(has_line(end.output, R"(\d+ sent, \d+ received, [1-9]\d* lost)"));
  CHECK(has_line(end.output, R"(lost: [1-9]\d* because the server's receive buffer was full, 0 unexplained)"));
  CHECK(has_line(end.output, R"(failed: the burst ended after \d+ datagrams: .+)"));
  CHECK_THAT(end.output, EndsWith("\nnot every datagram arrived as sent\n"));
}

}  // namespace
