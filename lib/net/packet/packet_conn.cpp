#include "uring6/packet_conn.hpp"

#include <fmt/format.h>

#include <string>
#include <vector>

#include "net/packet/packet_socket.hpp"
#include "sys/failure/failure_note.hpp"
#include "sys/multicast/membership.hpp"
#include "sys/multicast/source_filter.hpp"
#include "sys/socket/error_queue.hpp"
#include "sys/socket/reuse_port.hpp"
#include "sys/socket/socket.hpp"
#include "sys/socket/socket_options.hpp"
#include "uring6/bpf/program.hpp"
#include "uring6/interface.hpp"
#include "uring6/run_blocking.hpp"
#include "uring6/text.hpp"
#include "uring6/timer.hpp"

namespace uring6::inline v0 {

packet_conn::packet_conn(std::unique_ptr<detail::packet_socket> inside) noexcept : inside_(std::move(inside)) {}
packet_conn::packet_conn() noexcept = default;
packet_conn::packet_conn(packet_conn&&) noexcept = default;
packet_conn& packet_conn::operator=(packet_conn&&) noexcept = default;
packet_conn::~packet_conn() = default;

bool packet_conn::is_open() const noexcept {
  return inside_ && !inside_->closed();
}
bool packet_conn::connected() const noexcept {
  return inside_ && inside_->connected();
}
int packet_conn::native_handle() const noexcept {
  return is_open() ? inside_->fd() : -1;
}

std::error_code packet_conn::check_thread() const noexcept {
  return inside_ ? inside_->check_thread() : make_error_code(errc::closed);
}

result<int> packet_conn::descriptor() const {
  if (const auto error = check_thread()) return fail(error);
  return inside_->fd();
}

namespace {

using detail::noted;

std::string text_of(const interface& on) {
  return on.name.empty() ? fmt::format("interface {}", on.index) : on.name;
}

/// Objects of failures that are noted.
auto group_on(const interface& on, const ip_address& group) {
  return [&] { return fmt::format("{} on {}", group.to_string(), text_of(on)); };
}
auto group_of(const interface& on, const ip_address& group, const ip_address& source) {
  return [&] { return fmt::format("{} from {} on {}", group.to_string(), source.to_string(), text_of(on)); };
}
auto group_anywhere(const ip_address& group) {
  return [&] { return group.to_string(); };
}

result<bool> as_bool(const result<int>& value) {
  if (!value) return fail(value.error());
  return *value != 0;
}

}  // namespace

// --- control messages ---

result<void> packet_conn::set_control_message(control_flags flags, bool on) {
  const auto set = [&](int) { return inside_->set_control(flags, on); };
  return noted(descriptor().and_then(set), "set_control_message", [&] { return to_string(flags); });
}

result<control_flags> packet_conn::enabled_control() const {
  if (const auto error = check_thread()) return fail(error);
  return inside_->enabled_control();
}

// --- multicast ---

result<void> packet_conn::join_group(const interface& on, const ip_address& group) {
  const auto join = [&](int fd) {
    return check_can_hear(fd, group).and_then([&] { return uring6::join_group(fd, on.index, group); });
  };
  return noted(descriptor().and_then(join), "join_group", group_on(on, group));
}
result<void> packet_conn::join_group(const ip_address& group) {
  const auto join = [&](int fd) {
    return check_can_hear(fd, group).and_then([&] { return uring6::join_group(fd, 0, group); });
  };
  return noted(descriptor().and_then(join), "join_group", group_anywhere(group));
}
result<void> packet_conn::leave_group(const interface& on, const ip_address& group) {
  const auto leave = [&](int fd) { return uring6::leave_group(fd, on.index, group); };
  return noted(descriptor().and_then(leave), "leave_group", group_on(on, group));
}
result<void> packet_conn::leave_group(const ip_address& group) {
  const auto leave = [&](int fd) { return uring6::leave_group(fd, 0, group); };
  return noted(descriptor().and_then(leave), "leave_group", group_anywhere(group));
}
result<void> packet_conn::join_source_specific_group(const interface& on, const ip_address& group,
                                                     const ip_address& source) {
  const auto join = [&](int fd) {
    return check_can_hear(fd, group).and_then(
        [&] { return uring6::join_source_specific_group(fd, on.index, group, source); });
  };
  return noted(descriptor().and_then(join), "join_source_specific_group", group_of(on, group, source));
}
result<void> packet_conn::leave_source_specific_group(const interface& on, const ip_address& group,
                                                      const ip_address& source) {
  return noted(
      descriptor().and_then([&](int fd) { return uring6::leave_source_specific_group(fd, on.index, group, source); }),
      "leave_source_specific_group", group_of(on, group, source));
}
result<void> packet_conn::exclude_source_specific_group(const interface& on, const ip_address& group,
                                                        const ip_address& source) {
  return noted(
      descriptor().and_then([&](int fd) { return uring6::exclude_source_specific_group(fd, on.index, group, source); }),
      "exclude_source_specific_group", group_of(on, group, source));
}
result<void> packet_conn::include_source_specific_group(const interface& on, const ip_address& group,
                                                        const ip_address& source) {
  return noted(
      descriptor().and_then([&](int fd) { return uring6::include_source_specific_group(fd, on.index, group, source); }),
      "include_source_specific_group", group_of(on, group, source));
}

result<source_filter> packet_conn::source_filter(const interface& on, const ip_address& group) const {
  const auto get = [&](int fd) { return get_source_filter(fd, on.index, group); };
  return noted(descriptor().and_then(get), "source_filter", group_on(on, group));
}
result<void> packet_conn::set_source_filter(const interface& on, const ip_address& group,
                                            const uring6::source_filter& filter) {
  const auto set = [&](int fd) {
    return check_can_hear(fd, group).and_then([&] { return uring6::set_source_filter(fd, on.index, group, filter); });
  };
  return noted(descriptor().and_then(set), "set_source_filter", group_on(on, group));
}

result<std::optional<interface>> packet_conn::multicast_interface() const {
  const auto index = descriptor().and_then([](int fd) { return get_option(fd, option::multicast_interface); });
  if (!index) return fail(index.error());
  if (*index == 0) return std::optional<interface>();
  auto found = interface::by_index(static_cast<std::uint32_t>(*index));
  if (!found) return fail(found);
  return std::optional<interface>(std::move(*found));
}
result<void> packet_conn::set_multicast_interface(const std::optional<interface>& by) {
  const auto set = [&](int fd) { return uring6::set_multicast_interface(fd, inside_->speaks(), by ? by->index : 0); };
  return noted(descriptor().and_then(set), "set_multicast_interface",
               [&] { return by ? text_of(*by) : std::string("to none"); });
}
result<void> packet_conn::clear_multicast_interface() {
  return set_multicast_interface(std::nullopt);
}

result<int> packet_conn::multicast_hop_limit() const {
  return descriptor().and_then([](int fd) { return get_option(fd, option::multicast_hop_limit); });
}
result<void> packet_conn::set_multicast_hop_limit(std::optional<int> hops) {
  return noted(
      descriptor().and_then([&](int fd) { return uring6::set_multicast_hop_limit(fd, inside_->speaks(), hops); }),
      "set_multicast_hop_limit", detail::value_or_default(hops));
}
result<bool> packet_conn::multicast_loopback() const {
  return as_bool(descriptor().and_then([](int fd) { return get_option(fd, option::multicast_loopback); }));
}
result<void> packet_conn::set_multicast_loopback(bool on) {
  const auto set = [&](int fd) { return uring6::set_multicast_loopback(fd, inside_->speaks(), on); };
  return noted(descriptor().and_then(set), "set_multicast_loopback", detail::on_or_off(on));
}

// --- what is sent ---

result<int> packet_conn::traffic_class() const {
  return descriptor().and_then([](int fd) { return get_option(fd, option::traffic_class); });
}
result<void> packet_conn::set_traffic_class(std::optional<int> traffic_class) {
  return noted(
      descriptor().and_then([&](int fd) { return uring6::set_traffic_class(fd, inside_->speaks(), traffic_class); }),
      "set_traffic_class", detail::value_or_default(traffic_class));
}
result<int> packet_conn::hop_limit() const {
  return descriptor().and_then([](int fd) { return get_option(fd, option::hop_limit); });
}
result<void> packet_conn::set_hop_limit(std::optional<int> hops) {
  const auto set = [&](int fd) { return uring6::set_hop_limit(fd, inside_->speaks(), hops); };
  return noted(descriptor().and_then(set), "set_hop_limit", detail::value_or_default(hops));
}
result<bool> packet_conn::dont_fragment() const {
  return as_bool(descriptor().and_then([](int fd) { return get_option(fd, option::dont_fragment); }));
}
result<void> packet_conn::set_dont_fragment(bool on) {
  const auto set = [&](int fd) { return uring6::set_dont_fragment(fd, inside_->speaks(), on); };
  return noted(descriptor().and_then(set), "set_dont_fragment", detail::on_or_off(on));
}

result<std::uint32_t> packet_conn::path_mtu() const {
  return descriptor().and_then([](int fd) { return uring6::path_mtu(fd); });
}
result<std::optional<path_mtu_event>> packet_conn::read_path_mtu_event() {
  if (const auto error = check_thread()) return fail(error);
  return inside_->reading().take_path_mtu_event();
}

// --- errors that the network reports ---

result<bool> packet_conn::error_reports() const {
  return as_bool(descriptor().and_then([](int fd) { return get_option(fd, option::receive_errors); }));
}
result<void> packet_conn::set_error_reports(bool on) {
  const auto set = [&](int) { return inside_->set_error_reports(on); };
  return noted(descriptor().and_then(set), "set_error_reports", detail::on_or_off(on));
}
result<std::size_t> packet_conn::read_errors(std::span<error_report> reports) {
  if (const auto error = check_thread()) return fail(error);
  if (reports.empty()) return fail(std::errc::invalid_argument);
  std::size_t count = 0;
  for (error_report& each : reports) {
    const auto read = read_error(inside_->fd(), each);
    if (!read && count == 0) return fail(read.error());
    if (!read || !*read) break;
    ++count;
  }
  return count;
}

// --- the kernel's buffers ---

result<std::size_t> packet_conn::receive_buffer() const {
  return descriptor().and_then([](int fd) { return get_option(fd, option::receive_buffer); });
}
result<std::size_t> packet_conn::send_buffer() const {
  return descriptor().and_then([](int fd) { return get_option(fd, option::send_buffer); });
}
result<std::size_t> packet_conn::set_receive_buffer(std::size_t octets) {
  return noted(
      descriptor().and_then([=](int fd) { return uring6::set_receive_buffer(fd, static_cast<std::int64_t>(octets)); }),
      "set_receive_buffer", detail::count_of_octets(octets));
}
result<std::size_t> packet_conn::set_send_buffer(std::size_t octets) {
  return noted(
      descriptor().and_then([=](int fd) { return uring6::set_send_buffer(fd, static_cast<std::int64_t>(octets)); }),
      "set_send_buffer", detail::count_of_octets(octets));
}

// --- raw IP and ICMPv6 ---

result<std::optional<int>> packet_conn::checksum() const {
  return descriptor().and_then([](int fd) { return get_option(fd, option::checksum); }).transform([](int offset) {
    return offset < 0 ? std::optional<int>() : std::optional<int>(offset);
  });
}
result<void> packet_conn::set_checksum(std::optional<int> offset) {
  const auto set = [=](int fd) -> result<void> {
    // A negative offset switches the option off: only std::nullopt may do that.
    if (offset && *offset < 0) return fail(errc::out_of_range);
    return set_option(fd, option::checksum, offset.value_or(-1));
  };
  return noted(descriptor().and_then(set), "set_checksum", detail::value_or_default(offset));
}

result<uring6::icmp_filter> packet_conn::icmp_filter() const {
  const auto fd = descriptor();
  if (!fd) return fail(fd.error());
  uring6::icmp_filter filter;
  const auto size = get_option(*fd, option::icmp_filter, std::as_writable_bytes(std::span(&filter, 1)));
  if (!size) return fail(size.error());
  if (*size != sizeof filter) return fail(errc::malformed);
  return filter;
}
result<void> packet_conn::set_icmp_filter(const uring6::icmp_filter& filter) {
  const auto set = [&](int fd) { return set_option(fd, option::icmp_filter, std::as_bytes(std::span(&filter, 1))); };
  return noted(descriptor().and_then(set), "set_icmp_filter", [] { return std::string(); });
}

result<void> packet_conn::attach_bpf(std::span<const bpf::raw_instruction> program) {
  const auto attach = [&](int fd) -> result<void> {
    if (const auto sound = bpf::check(program); !sound) return sound;
    std::vector<sock_filter> given;
    given.reserve(program.size());
    for (const bpf::raw_instruction& each : program) given.push_back({each.op, each.jt, each.jf, each.k});
    return set_option(fd, option::attach_filter, std::span<const sock_filter>(given));
  };
  return noted(descriptor().and_then(attach), "attach_bpf",
               [&] { return fmt::format("of {} instructions", program.size()); });
}
result<void> packet_conn::attach_bpf(std::span<const bpf::instruction> program) {
  const auto assemble = [&](int) { return bpf::assemble(program); };
  const auto assembled = noted(descriptor().and_then(assemble), "attach_bpf",
                               [&] { return fmt::format("of {} instructions", program.size()); });
  if (!assembled) return fail(assembled);
  return attach_bpf(std::span<const bpf::raw_instruction>(*assembled));
}
result<void> packet_conn::detach_bpf() {
  const auto detach = [](int fd) { return set_option(fd, option::detach_filter, 0); };
  return noted(descriptor().and_then(detach), "detach_bpf", [] { return std::string(); });
}

// --- time, ends ---

result<void> packet_conn::set_deadline(std::optional<time_point> when) {
  if (const auto error = check_thread()) return fail(error);
  inside_->set_deadline(when);
  return {};
}
result<void> packet_conn::set_read_deadline(std::optional<time_point> when) {
  if (const auto error = check_thread()) return fail(error);
  inside_->set_read_deadline(when);
  return {};
}
result<void> packet_conn::set_write_deadline(std::optional<time_point> when) {
  if (const auto error = check_thread()) return fail(error);
  inside_->set_write_deadline(when);
  return {};
}

result<endpoint> packet_conn::local_endpoint() const {
  if (!is_open()) return fail(errc::closed);
  return uring6::local_endpoint(inside_->fd());
}
result<endpoint> packet_conn::peer_endpoint() const {
  if (!is_open()) return fail(errc::closed);
  const auto peer = uring6::peer_endpoint(inside_->fd());
  // getpeername fails on a connected raw socket, which has no port.
  if (!peer && inside_->connected()) return inside_->peer();
  return peer;
}

droppable_result<void> packet_conn::close() {
  if (const auto error = check_thread()) return fail(error);
  inside_->close();
  return {};
}

result<released_packet> packet_conn::release() {
  if (const auto error = check_thread()) return fail(error);
  return inside_->release();
}

namespace {

// How long a delivery on another CPU may last where `wait_for_deliveries` cannot tell: far longer than the microsecond
// that it takes, because a hypervisor may stop that CPU in the middle.
constexpr std::chrono::milliseconds longest_delivery{20};

task<result<void>> stop_receiving_at(detail::packet_socket* inside) {
  if (!inside) co_return fail(errc::closed);
  if (const auto error = inside->check_thread()) co_return fail(error);
  if (inside->reading().finishing()) co_return result<void>();
  if (inside->reading().is_handing_over()) co_return fail(std::errc::operation_in_progress);
  if (auto left = inside->leave_port(); !left) co_return left;
  const auto waited = co_await run_blocking(&wait_for_deliveries);
  result<void> done;
  if (!waited) {
    done = fail(waited.error());
  } else if (!*waited) {
    const auto slept = co_await sleep_for(longest_delivery);
    if (!slept) done = fail(slept.error());
  }
  if (inside->closed()) co_return fail(errc::closed);
  inside->reading().finish();
  co_return done;
}

}  // namespace

task<result<void>> packet_conn::stop_receiving() {
  return stop_receiving_at(inside_.get());
}

packet_stats packet_conn::stats() const noexcept {
  if (!inside_ || inside_->busy_elsewhere()) return {};
  const detail::receive_counters in = inside_->reading().counters();
  const detail::send_counters& out = inside_->writing().counters();
  return {.received_datagrams = in.datagrams,
          .received_bytes = in.bytes,
          .received_buffers = in.buffers,
          .received_trains = in.source.trains,
          .rearms = in.source.rearms,
          .out_of_buffers = in.source.exhausted,
          .receive_errors = in.errors,
          .malformed = in.source.malformed,
          .kernel_drops = inside_->drops(),
          .discarded = in.discarded,
          .sent_datagrams = out.datagrams,
          .sent_bytes = out.bytes,
          .sent_trains = out.trains,
          .refused_trains = out.refused,
          .parked_sends = out.parked,
          .failed_datagrams = out.failed,
          .failed_after_write = out.coalesced_failed,
          .zero_copy_sends = out.zero_copy,
          .copied_sends = out.copied};
}

}  // namespace uring6::inline v0
