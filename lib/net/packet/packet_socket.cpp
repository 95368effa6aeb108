#include "net/packet/packet_socket.hpp"

#include <netinet/in.h>

#include <cassert>
#include <cstddef>
#include <optional>
#include <utility>

#include "sys/socket/arrivals.hpp"
#include "sys/socket/reuse_port.hpp"
#include "sys/socket/socket.hpp"
#include "sys/socket/socket_options.hpp"

namespace uring6::inline v0::detail {

packet_socket::packet_socket(std::shared_ptr<loop_core> loop, file_descriptor&& fd,
                             const packet_socket_options& options)
    : owned_socket(std::move(loop)),
      connected_(options.connected),
      payload_alone_(options.payload_alone),
      dual_stack_(options.dual_stack),
      drops_seen_(options.drops_seen),
      receiver_(*loop_, fd.get()),
      sender_(*loop_, fd.get(), options.send) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Winvalid-offsetof"
  // What a datagram touches, from the receiver's operation on, begins a cache line.
  static_assert(sizeof(void*) != 8 || offsetof(packet_socket, receiver_) % cache_line == cache_line / 2,
                "the receiver's hot members begin behind half a cache line of cold ones");
#pragma GCC diagnostic pop
  assert(fd && (connected_ || !payload_alone_) && "only a connected conn knows the source of a bare payload");
  receiver_.source().set_buffer_class(options.receive_class);
  enabled_ = options.asked.control;
  leave_errors_to_reader(options.asked.error_reports);
  open(std::move(fd));
  use_enabled_control();
}

packet_socket::~packet_socket() {
  close();
}

void packet_socket::end_operations() noexcept {
  assert(!closed() && "the last counts and errors are read from the descriptor");
  drops();
  resident::unlink();
  read_deadline_.disarm();
  write_deadline_.disarm();
  receiver_.admit(false);
  receiver_.close(errc::closed);
  sender_.close(errc::closed);
}

void packet_socket::close() noexcept {
  if (closed()) return;
  loop_->must_end_here("a conn");
  end_operations();
  fd_ = file_descriptor();
}

result<released_packet> packet_socket::release() noexcept {
  if (closed()) return fail(errc::closed);
  // The backlog lies in memory that the child does not have, and is the parent's to hand over.
  if (loop_->ring().forked()) return fail(errc::forked);
  if (receiver_.was_handed_over()) return fail(errc::closed);
  if (receiver_.is_handing_over()) return fail(std::errc::operation_in_progress);
  auto kept = receiver_.take_out();
  if (!kept) return fail(kept.error());
  end_operations();
  return released_packet{.fd = fd_.release(),
                         .datagrams = std::move(*kept),
                         .kernel_drops = drops_seen_,
                         .peer = connected_ ? std::optional(peer()) : std::nullopt};
}

result<void> packet_socket::begin_handover() noexcept {
  if (const auto error = check_thread()) return fail(error);
  if (loop_->ring().forked()) return fail(errc::forked);
  if (receiver_.finishing()) return fail(errc::closed);
  if (receiver_.is_handing_over()) return fail(std::errc::operation_in_progress);
  receiver_.begin_handover();
  return {};
}

result<released_packet> packet_socket::offer() noexcept {
  if (closed()) return fail(errc::closed);
  auto kept = receiver_.offer_backlog();
  if (!kept) return fail(kept.error());
  drops();
  return released_packet{.fd = fd(),
                         .datagrams = std::move(*kept),
                         .kernel_drops = drops_seen_,
                         .peer = connected_ ? std::optional(peer()) : std::nullopt};
}

void packet_socket::finish_handover() noexcept {
  if (!closed()) receiver_.finish_handover();
}

void packet_socket::give_up_handover() noexcept {
  if (!closed()) receiver_.give_up_handover();
}

result<void> packet_socket::leave_port() noexcept {
  const auto protocol = get_option(fd(), option::socket_protocol);
  if (!protocol) return fail(protocol.error());
  const auto shares = get_option(fd(), option::reuse_port);
  if (!shares) return fail(shares.error());
  if (connected_ || *protocol != IPPROTO_UDP || *shares == 0) return end_arrivals(fd());
  const auto here = local_endpoint(fd());
  if (!here) return fail(here.error());
  auto left = leave_reuse_port_group(fd());
  if (left && here->address.is_unspecified()) names_sources_ = true;
  return left;
}

// Without an answer the message stays as it is, and its send tells why it cannot leave.
void packet_socket::name_sources(std::span<write_slot> messages) noexcept {
  assert(names_sources_ && !connected_);
  const auto index_of = [this](option which) {
    return static_cast<std::uint32_t>(get_option(fd(), which).value_or(0));
  };
  for (write_slot& each : messages) {
    if (each.control.source) continue;
    std::uint32_t by = each.control.interface_index.value_or(0);
    if (by == 0) by = index_of(option::bind_to_interface);
    if (by == 0 && each.destination.address.is_multicast()) by = index_of(option::multicast_interface);
    const auto source = source_address_to(each.destination, by);
    if (!source) continue;
    each.control.source = source->with_zone(0);
    // The kernel takes a link-local source only together with its interface.
    if (source->is_link_local() && !each.control.interface_index && source->zone() != 0)
      each.control.interface_index = source->zone();
  }
}

void packet_socket::give_up_descriptor() noexcept {
  end_operations();
  (void)fd_.release();
}

std::uint64_t packet_socket::drops() noexcept {
  if (closed() || receiver_.was_handed_over()) return drops_;  // later drops are the other process's
  if (const auto now = drop_count(fd())) drops_ += static_cast<std::uint32_t>(*now - std::exchange(drops_seen_, *now));
  return drops_;
}

// The kernel's name of the peer is the one that it gives with each datagram.
void packet_socket::use_enabled_control() noexcept {
  assert(!closed() && !has_any(enabled_, ~all_control_flags));
  sender_.set_path_mtu_reader(has_any(enabled_, control_flags::path_mtu) ? &receiver_ : nullptr);
  if (!payload_alone_) return;
  // Also the source has to be the kernel's once it is asked for: the user may have connected the descriptor elsewhere.
  const bool asked = enabled_ != control_flags::none;
  const auto from = peer_endpoint(fd());
  receiver_.source().expect_only(from && !asked ? std::optional(*from) : std::nullopt);
}

result<void> packet_socket::set_control(control_flags flags, bool on) noexcept {
  if (has_any(flags, ~all_control_flags)) return fail(std::errc::invalid_argument);
  auto done = ask_for(flags, on);
  use_enabled_control();
  return done;
}

namespace {

struct control_row {
  control_flags asks;
  option v6;
  std::optional<option> v4;
};

// Destination and interface come in one message: it is on as long as either is wanted. The kernel delivers
// IPV6_PKTINFO for IPv4 peers, too, so there is no IPv4 row for it.
constexpr control_row control_rows[] = {
    {control_flags::traffic_class, option::receive_traffic_class, option::receive_v4_traffic_class},
    {control_flags::hop_limit, option::receive_hop_limit, option::receive_v4_hop_limit},
    {control_flags::destination | control_flags::interface, option::receive_packet_info, {}},
    {control_flags::timestamp, option::receive_timestamp, {}},
    {control_flags::path_mtu, option::receive_path_mtu, {}},
};

}  // namespace

result<void> packet_socket::ask_for(control_flags flags, bool on) noexcept {
  assert(!has_any(flags, ~all_control_flags) && "each flag has a row");
  const control_flags wanted = on ? enabled_ | flags : enabled_ & ~flags;
  for (const control_row& each : control_rows) {
    if (!has_any(flags, each.asks)) continue;
    const bool want = has_any(wanted, each.asks);
    if (auto done = set_option(fd(), each.v6, want); !done) return done;
    if (dual_stack_ && each.v4) {
      if (auto done = set_option(fd(), *each.v4, want); !done) return done;
    }
    // Row by row: after an error what was reached is known.
    enabled_ = (enabled_ & ~each.asks) | (wanted & each.asks);
  }
  enabled_ = wanted;
  return {};
}

result<asked_already> what_was_asked(int fd, bool dual_stack) noexcept {
  asked_already found;
  std::error_code error;
  const auto is_on = [&](option which) {
    const auto value = get_option(fd, which);
    if (!value) error = value.error();
    return value.value_or(0) != 0;
  };
  for (const control_row& each : control_rows) {
    const bool v4 = dual_stack && each.v4 && is_on(*each.v4);
    if (v4 || is_on(each.v6)) found.control |= each.asks;
  }
  found.error_reports = is_on(option::receive_errors) || (dual_stack && is_on(option::receive_v4_errors));
  if (error) return fail(error);
  return found;
}

result<void> packet_socket::set_error_reports(bool on) noexcept {
  auto set = set_option(fd(), option::receive_errors, on);
  if (set && dual_stack_) set = set_option(fd(), option::receive_v4_errors, on);
  leave_errors_to_reader(on || !set);  // refused half way, the reports of one family may be on
  return set;
}

void packet_socket::leave_errors_to_reader(bool reports) noexcept {
  sender_.set_error_reader(reports ? &receiver_ : nullptr, connected_);
}

void packet_socket::set_deadline(std::optional<clock::time_point> when) {
  set_both(read_deadline_, write_deadline_, *loop_, when);
  receiver_.admit(!closed() && !read_deadline_.passed());
}
void packet_socket::set_read_deadline(std::optional<clock::time_point> when) {
  read_deadline_.set(*loop_, when);
  receiver_.admit(!closed() && !read_deadline_.passed());
}
void packet_socket::set_write_deadline(std::optional<clock::time_point> when) {
  write_deadline_.set(*loop_, when);
}

}  // namespace uring6::inline v0::detail
