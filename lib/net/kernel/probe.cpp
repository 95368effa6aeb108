#include "uring6/probe.hpp"

#include <fmt/format.h>
#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <fstream>
#include <limits>

#include "net/kernel/kernel_limits.hpp"
#include "net/kernel/receive_merging.hpp"
#include "net/kernel/segment_limit.hpp"
#include "runtime/loop/loop_core.hpp"
#include "sys/socket/kernel_release.hpp"
#include "sys/socket/refusal.hpp"
#include "sys/socket/socket.hpp"
#include "sys/socket/socket_options.hpp"
#include "uring/kernel/completion_order.hpp"
#include "uring/kernel/feature_names.hpp"
#include "uring/kernel/read_trials.hpp"
#include "uring/kernel/setup.hpp"
#include "uring/kernel_abi.hpp"
#include "uring6/interface.hpp"
#include "uring6/listen.hpp"

namespace uring6::inline v0 {
namespace {

// --- the network ---

bool loopback_is_switched_off() {
  std::ifstream file("/proc/sys/net/ipv6/conf/lo/disable_ipv6");
  int value = 0;
  return file >> value && value != 0;
}

std::string explain_no_loopback(std::error_code error) {
  if (error != std::errc::address_not_available) return fmt::format("::1 cannot be used: {}", error.message());
  if (const auto lo = interface::by_name("lo"); lo && !lo->is(interface_flags::up))
    return "the interface lo is down, so there is no ::1. Run: ip link set lo up";
  if (loopback_is_switched_off())
    return "IPv6 is switched off on lo, so there is no ::1. Run: sysctl -w net.ipv6.conf.lo.disable_ipv6=0";
  return "lo has lost its address ::1. Run: ip -6 address add ::1/128 dev lo";
}

/// The largest buffer, octets, that this option grants without a privilege. (SO_RCVBUFFORCE and SO_SNDBUFFORCE grant
/// more.)
std::size_t largest_buffer(int fd, option which) {
  if (!set_option(fd, which, std::numeric_limits<int>::max() / 2)) return 0;
  return static_cast<std::size_t>(get_option(fd, which).value_or(0));
}

std::string explain_no_socket(std::error_code error) {
  if (error == errc::no_ipv6) return error.message();
  return explain_refused_call("a socket of AF_INET6", "socket", error.value());
}

void probe_network(probe_report& report) {
  const auto fd = open_socket(AF_INET6, SOCK_DGRAM);
  report.ipv6 = fd.has_value();
  if (!fd) {
    report.missing.push_back(explain_no_socket(fd.error()));
    return;
  }
  const auto bound = bind_socket(fd->get(), {ip_address::loopback(), 0});
  report.ipv6_loopback = bound.has_value();
  if (!bound) report.missing.push_back(explain_no_loopback(bound.error()));

  // segment_limit() sends a train over ::1.
  if (bound && set_option(fd->get(), option::udp_segment, 1)) {
    report.longest_train = static_cast<unsigned>(detail::segment_limit());
  }
  report.receive_trains =
      detail::kernel_merges_only_equals() && set_option(fd->get(), option::udp_receive_offload, 1).has_value();

  const auto wanted = static_cast<std::int64_t>(packet_options{}.receive_buffer);
  report.largest_receive_buffer = largest_buffer(fd->get(), option::receive_buffer);
  report.largest_send_buffer = largest_buffer(fd->get(), option::send_buffer);
  if (const auto granted = set_receive_buffer(fd->get(), wanted); granted && *granted < wanted) {
    report.degraded.push_back(
        fmt::format("a receive buffer is {} octets at most, so longer bursts are lost while the loop is "
                    "busy. Run: sysctl -w "
                    "net.core.rmem_max={}",
                    *granted, wanted));
  }
}

// --- privileges ---

void probe_privileges(probe_report& report) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> sets{};
  if (::syscall(SYS_capget, &header, sets.data()) != 0) return;
  const auto has = [&](unsigned capability) { return (sets[0].effective >> capability & 1) != 0; };
  report.net_raw = has(CAP_NET_RAW);
  report.net_admin = has(CAP_NET_ADMIN);
}

// --- the ring ---

/// Sends two datagrams from a conn to itself and reads them. not_supported: the read did not stay armed for both.
task<std::error_code> send_and_read(event_loop& loop) {
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(1);
  constexpr int datagrams = 2;
  std::array<std::byte, 1> buffer{};  // not empty: an empty datagram ends a multishot read

  auto conn = listen_packet(loop, "udp6", "[::1]:0");
  if (!conn) co_return conn.error();
  if (const auto set = conn->set_deadline(limit); !set) co_return set.error();
  const auto self = conn->local_endpoint();
  if (!self) co_return self.error();
  for (int i = 0; i < datagrams; ++i) {
    const auto sent = co_await conn->write_to(buffer, *self);
    if (!sent) co_return sent.error();
  }
  for (int i = 0; i < datagrams; ++i) {
    const auto got = co_await conn->read_from(buffer);
    if (!got) co_return got.error();
  }
  co_return conn->stats().rearms == 0 ? std::error_code{} : make_error_code(std::errc::operation_not_supported);
}

std::string explain_no_read(std::error_code error) {
  if (error == errc::deadline_exceeded)
    return "a datagram sent to ::1 did not arrive within a second: look for a packet filter (nft list "
           "ruleset)";
  if (error == std::errc::invalid_argument || error == std::errc::operation_not_supported)
    return "a read does not stay armed (multishot recvmsg came with Linux 6.0): uring6 needs Linux 6.1 or "
           "later";
  if (error.category() != std::system_category()) return "reading over ::1 failed: " + error.message();
  return "reading over ::1 failed: " +
         detail::explain_use_failure("io_uring_enter or io_uring_register", error.value());
}

std::error_code try_to_read(event_loop& loop, probe_report& report) {
  std::error_code error;
  try {
    error = loop.run(send_and_read(loop));
  } catch (const std::system_error& refused) {
    error = refused.code();
  }
  if (error) report.missing.push_back(explain_no_read(error));
  return error;
}

void probe_io_uring(probe_report& report, const loop_options& options, event_loop& loop) {
  detail::loop_core& core = *loop.core();
  const detail::ring_features& features = core.ring().features();
  report.setup_flags = detail::setup_flag_names(features.setup_flags);
  report.ring_features = detail::ring_feature_names(features.kernel_features);
  const auto turned = core.run_once();  // the first enter registers the descriptor, which the kernel allows to the
                                        // ring's own thread only
  for (const std::string& refused : features.refused) report.degraded.push_back("the kernel refused " + refused);
  if (!turned) {
    report.missing.push_back(
        detail::explain_use_failure("io_uring_enter or io_uring_register", turned.error().value()));
    return;
  }
  report.ring = true;
  report.registered_descriptor = features.registered_fd;
  report.zero_copy_send = features.zero_copy_send;
  if (!report.registered_descriptor) {
    report.degraded.push_back("the kernel refused to register the ring's descriptor: each system call looks it up");
  }
  const auto buffers = core.pool(detail::buffer_class::large);
  report.buffer_rings = buffers.has_value();
  if (!buffers) {
    report.missing.push_back("receive buffers cannot be registered: " +
                             detail::explain_use_failure("io_uring_register", buffers.error().value()));
  } else if (report.ipv6_loopback) {
    report.multishot_receive = !try_to_read(loop, report);
  }
  const bool has_min_wait = features.kernel_features & kernel_abi::feat_min_timeout;
  detail::append_sentences(
      {.bounded_reads = detail::try_multishot_bound().value_or(true),
       .errors_leave_buffers = detail::try_error_leaves_buffer().value_or(true),
       .ordered_completions = detail::try_completion_order(features.setup_flags).value_or(true),
       .ring_messages = features.messages,
       .min_wait = has_min_wait || options.min_wait.count() > 0,  // a refused min_wait is in `features.refused` already
       .merges_only_equals = detail::kernel_merges_only_equals()},
      report.degraded);
}

void probe_readiness(probe_report& report, event_loop& loop) {
  if (!loop.driver_reason().empty()) {
    report.degraded.push_back("loops run by readiness (epoll), slower: " + std::string(loop.driver_reason()));
  }
  for (const std::string& refused : loop.core()->ring().features().refused) report.degraded.push_back(refused);
  if (report.ipv6_loopback) try_to_read(loop, report);
}

void probe_loop(probe_report& report, const loop_options& options) {
  std::string reason;
  auto loop = event_loop::create(options, reason);
  if (!loop) {
    report.missing.push_back(std::move(reason));
    return;
  }
  const detail::ring_features& features = loop->core()->ring().features();
  report.driver = features.driver;
  report.submission_entries = features.submission_entries;
  report.completion_entries = features.completion_entries;
  if (report.driver == loop_driver::readiness) {
    probe_readiness(report, *loop);
  } else {
    probe_io_uring(report, options, *loop);
  }
}

}  // namespace

probe_report probe(const loop_options& options) {
  probe_report report;
  report.kernel = kernel_release();
  probe_network(report);
  probe_privileges(report);
  probe_loop(report, options);
  return report;
}

}  // namespace uring6::inline v0
