// Datagrams that the kernel merges into a train on its way in (UDP_GRO): proves `kernel_merges_only_equals` for the
// running kernel, over a device that merges.
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/mount.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <optional>
#include <system_error>
#include <vector>

#include "net/kernel/receive_merging.hpp"
#include "support/case/coroutines.hpp"
#include "support/machine/private_files.hpp"
#include "support/machine/veth_pair.hpp"
#include "support/process/forked.hpp"
#include "support/traffic/conns.hpp"
#include "sys/socket/file_descriptor.hpp"
#include "sys/socket/socket.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

/// `ethtool -K`
void set_feature(const veth_end& end, std::uint32_t command, bool on) {
  const auto inside = end.space.enter();
  const auto fd = or_throw(open_socket(AF_INET6, SOCK_DGRAM));
  ethtool_value value{.cmd = command, .data = on};
  ifreq request{};
  std::strncpy(request.ifr_name, end.link.name.c_str(), IFNAMSIZ - 1);
  request.ifr_data = reinterpret_cast<char*>(&value);
  if (::ioctl(fd.get(), SIOCETHTOOL, &request) != 0)
    throw std::system_error(errno, std::system_category(), "SIOCETHTOOL");
}

/// Makes `to` merge the datagrams from `from` for 20 ms, as a network card under load does; by default a veth device
/// delivers each datagram as it comes. Returns why the device cannot, or an empty text.
std::string merge(const veth_end& from, const veth_end& to) {
  set_feature(from, ETHTOOL_STSO, false);  // veth receives by NAPI, which merges, only while its peer does not segment
  set_feature(to, ETHTOOL_SGRO, true);
  return in_child([&]() -> std::string {
    const auto inside = to.space.enter();
    // /sys shows the devices of the network namespace in which it was mounted.
    enter_mount_namespace();
    if (::mount("sysfs", "/sys", "sysfs", 0, nullptr) != 0)
      return "/sys cannot be mounted: " + std::system_category().message(errno);
    std::ofstream file("/sys/class/net/" + to.link.name + "/gro_flush_timeout");
    file << 20'000'000 << std::flush;  // nanoseconds
    return file ? "" : "gro_flush_timeout cannot be set";
  });
}

/// A header field of a datagram, with a value of 40 to 43.
struct header_value {
  std::optional<int> control_message::*field;
  const char* name;
};

/// Sends rounds of 64 datagrams, always two of the same value behind each other, until a train has arrived; at most 50
/// rounds. Each datagram has its value as payload, too.
task<> check_values(packet_conn& to, packet_conn& from, header_value which) {
  constexpr std::size_t round = 64;
  std::array<std::array<std::byte, 100>, round> payloads{};
  std::vector<write_slot> batch;
  for (std::size_t i = 0; i < round; ++i) {
    const int value = 40 + static_cast<int>(i / 2 % 4);
    payloads[i][0] = static_cast<std::byte>(value);
    control_message control;
    control.*which.field = value;
    batch.push_back({payloads[i], control, name_of(to), {}});
  }
  const auto trains_before = to.stats().received_trains;
  const auto more_wanted = [&] {
    return detail::kernel_merges_only_equals() && to.stats().received_trains == trains_before;
  };
  std::array<std::byte, 128> buffer{};
  int rounds = 0;
  do {
    const auto sent = co_await from.write_batch(batch);
    REQUIRE(sent == round);
    for (std::size_t i = 0; i < round; ++i) {
      const auto got = co_await to.read_from(buffer);
      REQUIRE(got);
      REQUIRE(got->payload.size() == 100);
      CAPTURE(which.name);
      REQUIRE(got->control.*which.field == std::to_integer<int>(got->payload[0]));
    }
  } while (++rounds < 50 && more_wanted());
  CHECK((to.stats().received_trains > trains_before) == detail::kernel_merges_only_equals());
}

TEST_CASE(
    "datagrams that a device merges keep their own traffic class and hop limit, and come as trains where they may") {
  const veth_pair cable;
  if (const std::string why = merge(cable.far, cable.near); !why.empty()) SKIP(why);
  event_loop loop;
  run(loop, [&]() -> task<> {
    const auto open = [&](const veth_end& end, const packet_options& options) {
      const auto inside = end.space.enter();
      return or_throw(listen_packet(loop, "udp6", "[" + end.address.to_string() + "]:0", options));
    };
    auto to = open(cable.near, {});
    auto from = open(cable.far, {.send_offload = false});
    or_throw(to.set_control_message(all_control, true));
    or_throw(to.set_deadline(std::chrono::steady_clock::now() + std::chrono::seconds(60)));
    const header_value traffic_class{&control_message::traffic_class, "traffic class"};
    const header_value hop_limit{&control_message::hop_limit, "hop limit"};
    co_await check_values(to, from, traffic_class);
    co_await check_values(to, from, hop_limit);
  });
}

}  // namespace
