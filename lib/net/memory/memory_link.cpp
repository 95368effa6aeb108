#include "uring6/memory_link.hpp"

#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

#include "net/memory/link_medium.hpp"
#include "net/memory/memory_port.hpp"
#include "sys/failure/failure_note.hpp"
#include "sys/socket/socket.hpp"
#include "uring6/text.hpp"

namespace uring6::inline v0 {

// --- memory_socket ---

memory_socket::memory_socket(std::unique_ptr<detail::memory_port> port) noexcept : port_(std::move(port)) {}
memory_socket::memory_socket() noexcept = default;
memory_socket::memory_socket(memory_socket&&) noexcept = default;
memory_socket& memory_socket::operator=(memory_socket&&) noexcept = default;
memory_socket::~memory_socket() = default;

bool memory_socket::is_open() const noexcept {
  return port_ && !port_->closed();
}

std::error_code memory_socket::check_thread() const noexcept {
  return port_ ? port_->check_thread() : make_error_code(errc::closed);
}

result<void> memory_socket::set_control_message(control_flags flags, bool on) {
  const auto set = [&]() -> result<void> {
    if (const auto error = check_thread()) return fail(error);
    return port_->set_control(flags, on);
  };
  return detail::noted(set(), "set_control_message", [flags] { return to_string(flags); });
}
result<control_flags> memory_socket::enabled_control() const {
  if (const auto error = check_thread()) return fail(error);
  return port_->enabled_control();
}

result<void> memory_socket::set_deadline(std::optional<time_point> when) {
  if (const auto error = check_thread()) return fail(error);
  port_->set_deadline(when);
  return {};
}
result<void> memory_socket::set_read_deadline(std::optional<time_point> when) {
  if (const auto error = check_thread()) return fail(error);
  port_->set_read_deadline(when);
  return {};
}
result<void> memory_socket::set_write_deadline(std::optional<time_point> when) {
  if (const auto error = check_thread()) return fail(error);
  port_->set_write_deadline(when);
  return {};
}

result<endpoint> memory_socket::local_endpoint() const {
  if (!is_open()) return fail(errc::closed);
  return port_->local();
}

droppable_result<void> memory_socket::close() {
  if (const auto error = check_thread()) return fail(error);
  port_->close();
  return {};
}

// --- memory_link ---

namespace {

std::shared_ptr<detail::link_medium> make_medium(event_loop& loop, const memory_link_options& options) {
  std::error_code refused = detail::check_thread(loop);
  if (!refused && !detail::in_range(options)) refused = errc::out_of_range;
  if (refused) throw std::system_error(refused, "uring6::memory_link");
  return std::make_shared<detail::link_medium>(loop.core(), options);
}

/// The error of an address that no socket of the link can have, or that the kernel would not bind.
std::error_code check_own_address(const ip_address& address, std::uint32_t interface_index) {
  if (address.is_v4_mapped()) return errc::ipv4_address;
  if (!address.is_unicast()) return {EINVAL, std::system_category()};
  if (address.zone() != 0 && address.zone() != interface_index) return errc::unknown_zone;
  if (address.zone() != 0 && !has_zones(address)) return errc::needless_zone;
  if (address.zone() == 0 && address.is_link_local()) return {EINVAL, std::system_category()};
  return {};
}

result<memory_socket> open_at(const std::shared_ptr<detail::link_medium>& medium, const endpoint& local) {
  const auto& loop = medium->loop();
  if (loop->ended()) return fail(errc::closed);
  if (const auto error = loop->check_thread()) return fail(error);
  if (const auto error = check_own_address(local.address, medium->options().interface_index)) return fail(error);
  endpoint chosen = local;
  if (chosen.port == 0) chosen.port = medium->free_port(local.address);
  if (chosen.port == 0 || medium->port_at(chosen)) return fail_errno(EADDRINUSE);
  return memory_socket(std::make_unique<detail::memory_port>(medium, loop, chosen));
}

}  // namespace

memory_link::memory_link(event_loop& loop, const memory_link_options& options) : medium_(make_medium(loop, options)) {}

memory_link::~memory_link() {
  medium_->loop()->must_end_here("a memory_link");
}

result<memory_socket> memory_link::bind(const endpoint& local) {
  return detail::noted(open_at(medium_, local), "memory_link::bind", [&local] { return local.to_string(); });
}

result<memory_socket> memory_link::bind(std::string_view local) {
  const auto open = [this](const endpoint& end) { return open_at(medium_, end); };
  return detail::noted(endpoint::parse(local).and_then(open), "memory_link::bind",
                       [local] { return std::string(local); });
}

result<void> memory_link::set_options(const memory_link_options& options) {
  const auto set = [&]() -> result<void> {
    if (const auto error = medium_->loop()->check_thread()) return fail(error);
    if (!detail::in_range(options)) return fail(errc::out_of_range);
    medium_->set_options(options);
    return {};
  };
  return detail::noted(set(), "memory_link::set_options", [] { return std::string(); });
}

const memory_link_options& memory_link::options() const noexcept {
  return medium_->options();
}

memory_link_stats memory_link::stats() const noexcept {
  if (medium_->loop()->busy_elsewhere()) return {};
  return medium_->stats();
}

}  // namespace uring6::inline v0
