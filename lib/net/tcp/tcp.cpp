#include "uring6/tcp.hpp"

#include <fmt/format.h>
#include <sys/socket.h>

#include <cerrno>
#include <string>

#include "net/tcp/accept_queue.hpp"
#include "net/tcp/dial_race.hpp"
#include "net/tcp/stream_socket.hpp"
#include "net/tcp/tcp_socket.hpp"
#include "sys/failure/failure_note.hpp"
#include "sys/socket/socket.hpp"
#include "sys/socket/socket_options.hpp"
#include "uring6/resolve.hpp"
#include "uring6/text.hpp"

namespace uring6::inline v0 {

// --- connections ---

tcp_conn::tcp_conn(std::unique_ptr<detail::stream_socket> inside) noexcept : inside_(std::move(inside)) {}
tcp_conn::tcp_conn() noexcept = default;
tcp_conn::tcp_conn(tcp_conn&&) noexcept = default;
tcp_conn& tcp_conn::operator=(tcp_conn&&) noexcept = default;
tcp_conn::~tcp_conn() = default;

bool tcp_conn::is_open() const noexcept {
  return inside_ && !inside_->closed();
}
int tcp_conn::native_handle() const noexcept {
  return is_open() ? inside_->fd() : -1;
}

std::error_code tcp_conn::check_thread() const noexcept {
  return inside_ ? inside_->check_thread() : make_error_code(errc::closed);
}
result<int> tcp_conn::descriptor() const {
  if (const auto error = check_thread()) return fail(error);
  return inside_->fd();
}

result<void> tcp_conn::shutdown(stream_half which) {
  const auto fd = descriptor();
  if (!fd) return fail(fd.error());
  const int how = which == stream_half::read ? SHUT_RD : which == stream_half::write ? SHUT_WR : SHUT_RDWR;
  if (::shutdown(*fd, how) != 0) return fail_errno(errno);
  return {};
}

droppable_result<void> tcp_conn::close() {
  if (const auto error = check_thread()) return fail(error);
  inside_->close();
  return {};
}
result<released_tcp> tcp_conn::release() {
  if (const auto error = check_thread()) return fail(error);
  return inside_->release();
}

result<void> tcp_conn::set_deadline(std::optional<time_point> when) {
  if (const auto error = check_thread()) return fail(error);
  inside_->set_deadline(when);
  return {};
}
result<void> tcp_conn::set_read_deadline(std::optional<time_point> when) {
  if (const auto error = check_thread()) return fail(error);
  inside_->set_read_deadline(when);
  return {};
}
result<void> tcp_conn::set_write_deadline(std::optional<time_point> when) {
  if (const auto error = check_thread()) return fail(error);
  inside_->set_write_deadline(when);
  return {};
}

result<bool> tcp_conn::no_delay() const {
  return descriptor().and_then([](int fd) { return get_option(fd, option::no_delay); }).transform([](int on) {
    return on != 0;
  });
}
result<void> tcp_conn::set_no_delay(bool on) {
  const auto set = [=](int fd) { return set_option(fd, option::no_delay, on); };
  return detail::noted(descriptor().and_then(set), "set_no_delay", detail::on_or_off(on));
}
result<std::optional<keep_alive>> tcp_conn::keep_alive() const {
  return descriptor().and_then([](int fd) { return detail::get_keep_alive(fd); });
}
result<void> tcp_conn::set_keep_alive(const std::optional<uring6::keep_alive>& when) {
  const auto set = [&](int fd) { return detail::set_keep_alive(fd, when); };
  return detail::noted(descriptor().and_then(set), "set_keep_alive",
                       [&] { return when ? to_string(*when) : std::string("off"); });
}

result<std::size_t> tcp_conn::receive_buffer() const {
  return descriptor().and_then([](int fd) { return get_option(fd, option::receive_buffer); });
}
result<std::size_t> tcp_conn::send_buffer() const {
  return descriptor().and_then([](int fd) { return get_option(fd, option::send_buffer); });
}
result<std::size_t> tcp_conn::set_receive_buffer(std::size_t octets) {
  return detail::noted(
      descriptor().and_then([=](int fd) { return uring6::set_receive_buffer(fd, static_cast<std::int64_t>(octets)); }),
      "set_receive_buffer", detail::count_of_octets(octets));
}
result<std::size_t> tcp_conn::set_send_buffer(std::size_t octets) {
  return detail::noted(
      descriptor().and_then([=](int fd) { return uring6::set_send_buffer(fd, static_cast<std::int64_t>(octets)); }),
      "set_send_buffer", detail::count_of_octets(octets));
}

result<endpoint> tcp_conn::local_endpoint() const {
  if (!is_open()) return fail(errc::closed);
  return uring6::local_endpoint(inside_->fd());
}
result<endpoint> tcp_conn::peer_endpoint() const {
  if (!is_open()) return fail(errc::closed);
  if (inside_->peer() == endpoint{}) return uring6::peer_endpoint(inside_->fd());
  return inside_->peer();
}

tcp_stats tcp_conn::stats() const noexcept {
  if (!inside_ || inside_->busy_elsewhere()) return {};
  return {.received_bytes = inside_->received(), .sent_bytes = inside_->sent()};
}

// --- listeners ---

tcp_listener::tcp_listener(std::unique_ptr<detail::accept_queue> inside) noexcept : inside_(std::move(inside)) {}
tcp_listener::tcp_listener() noexcept = default;
tcp_listener::tcp_listener(tcp_listener&&) noexcept = default;
tcp_listener& tcp_listener::operator=(tcp_listener&&) noexcept = default;
tcp_listener::~tcp_listener() = default;

bool tcp_listener::is_open() const noexcept {
  return inside_ && !inside_->closed();
}
int tcp_listener::native_handle() const noexcept {
  return is_open() ? inside_->fd() : -1;
}

result<endpoint> tcp_listener::local_endpoint() const {
  if (!is_open()) return fail(errc::closed);
  return uring6::local_endpoint(inside_->fd());
}
result<void> tcp_listener::set_deadline(std::optional<std::chrono::steady_clock::time_point> when) {
  if (!inside_) return fail(errc::closed);
  if (const auto error = inside_->check_thread()) return fail(error);
  inside_->set_deadline(when);
  return {};
}
result<void> tcp_listener::stop_accepting(std::chrono::milliseconds handshakes) {
  if (!inside_) return fail(errc::closed);
  if (const auto error = inside_->check_thread()) return fail(error);
  return detail::noted(inside_->stop_accepting(detail::saturated(handshakes)), "stop_accepting",
                       [] { return std::string(); });
}
droppable_result<void> tcp_listener::close() {
  if (!inside_) return fail(errc::closed);
  if (const auto error = inside_->check_thread()) return fail(error);
  inside_->close();
  return {};
}

result<int> tcp_listener::release() {
  if (!inside_) return fail(errc::closed);
  if (const auto error = inside_->check_thread()) return fail(error);
  return inside_->release();
}

namespace {

// Connections. The listener allocates a place of 32 octets for each: 2 MiB at most.
constexpr std::size_t most_ahead = 65'535;

/// Whether the network word means IPv6 only.
result<bool> parse_network(std::string_view word) {
  if (word == "tcp6") return true;
  if (word == "tcp") return false;
  return fail(errc::unknown_network);
}

result<tcp_listener> listen_at(event_loop& loop, std::string_view network, const endpoint& local,
                               const tcp_options& options) {
  const auto only_v6 = parse_network(network);
  if (!only_v6) return fail(only_v6.error());
  if (*only_v6 && local.address.is_v4_mapped()) return fail(errc::ipv4_address);
  if (const auto error = detail::check_thread(loop)) return fail(error);
  if (options.accept_ahead > most_ahead) return fail(errc::out_of_range);
  auto fd = detail::open_tcp_socket(*only_v6, options);
  if (!fd) return fail(fd.error());
  const auto listening = set_option(fd->get(), option::reuse_address, 1)
                             .and_then([&] { return detail::ask_hook(options, fd->get(), local); })
                             .and_then([&] { return bind_socket(fd->get(), local); })
                             .and_then([&] { return listen_socket(fd->get(), options.backlog); });
  if (!listening) return fail(listening.error());
  return tcp_listener(std::make_unique<detail::accept_queue>(loop.core(), std::move(*fd), options.accept_ahead));
}

/// The object of a failure: "tcp6 [::1]:53".
auto network_and(std::string_view network, std::string_view address) {
  return [=] { return fmt::format("{} {}", network, address); };
}
}  // namespace

result<tcp_listener> listen_tcp(event_loop& loop, std::string_view network, std::string_view address,
                                const tcp_options& options) {
  const auto parse = [&](bool) { return endpoint::parse(address); };
  const auto listen = [&](const endpoint& local) { return listen_at(loop, network, local, options); };
  return detail::noted(parse_network(network).and_then(parse).and_then(listen), "listen_tcp",
                       network_and(network, address));
}

result<tcp_listener> listen_tcp(event_loop& loop, std::string_view network, const endpoint& local,
                                const tcp_options& options) {
  return detail::noted(listen_at(loop, network, local, options), "listen_tcp",
                       [&] { return network_and(network, local.to_string())(); });
}

// --- sockets that the program opened itself ---

namespace {

result<tcp_listener> adopt_listening(event_loop& loop, int fd, const tcp_options& options) {
  if (const auto error = detail::check_thread(loop)) return fail(error);
  if (const auto is_tcp = detail::check_tcp_socket(fd); !is_tcp) return fail(is_tcp.error());
  const auto listens = get_option(fd, option::socket_listens);
  if (!listens) return fail(listens.error());
  if (*listens == 0) return fail(std::errc::invalid_argument);
  if (options.accept_ahead > most_ahead) return fail(errc::out_of_range);
  if (const auto blocks = make_blocking(fd); !blocks) return fail(blocks.error());
  lent_descriptor lent(fd);
  return tcp_listener(std::make_unique<detail::accept_queue>(loop.core(), lent.take(), options.accept_ahead));
}

/// `known`: the peer, which the kernel has forgotten if the connection has ended.
result<std::unique_ptr<detail::stream_socket>> adopt_stream(event_loop& loop, int fd,
                                                            const std::optional<endpoint>& known) {
  if (const auto error = detail::check_thread(loop)) return fail(error);
  if (const auto is_tcp = detail::check_tcp_socket(fd); !is_tcp) return fail(is_tcp.error());
  const auto peer = peer_endpoint(fd);
  if (!peer && !(known && peer.error() == std::errc::not_connected)) return fail(peer.error());
  if (const auto blocks = make_blocking(fd); !blocks) return fail(blocks.error());
  lent_descriptor lent(fd);
  return std::make_unique<detail::stream_socket>(loop.core(), lent.take(), peer ? *peer : *known);
}

}  // namespace

result<tcp_listener> adopt_listener(event_loop& loop, int fd, const tcp_options& options) {
  return detail::noted(adopt_listening(loop, fd, options), "adopt_listener", detail::descriptor_number(fd));
}

result<tcp_conn> adopt_tcp(event_loop& loop, int fd) {
  auto adopted =
      adopt_stream(loop, fd, std::nullopt).transform([](auto&& inside) { return tcp_conn(std::move(inside)); });
  return detail::noted(std::move(adopted), "adopt_tcp", detail::descriptor_number(fd));
}

result<tcp_conn> adopt_tcp(event_loop& loop, const released_tcp& from) {
  std::vector<std::byte> unread = from.unread;  // what can fail comes before the descriptor is taken
  std::optional<endpoint> peer = from.peer;
  // Unread octets or an error prove that the socket was connected.
  if (!peer && (from.error || !from.unread.empty())) peer.emplace();
  auto adopted = adopt_stream(loop, from.fd, peer).transform([&](auto&& inside) {
    inside->begin_with(std::move(unread), from.error);
    return tcp_conn(std::move(inside));
  });
  return detail::noted(std::move(adopted), "adopt_tcp", detail::descriptor_number(from.fd));
}

// --- dialing ---

namespace detail {

dial_operation::dial_operation(std::unique_ptr<dial_race> race) noexcept : race_(std::move(race)) {}
dial_operation::dial_operation(dial_operation&&) noexcept = default;
dial_operation::~dial_operation() = default;

bool dial_operation::suspend(std::coroutine_handle<> waiting, stop_root& stop) {
  if (!race_) ready_node::throw_awaited_twice();  // it was moved from
  return race_->suspend(waiting, stop);
}
void dial_operation::tell_wait(wait_listing& to) const {
  if (race_) race_->tell_wait(to);
}

result<tcp_conn> dial_operation::await_resume() {
  return noted(race_->outcome().transform([](auto&& socket) { return tcp_conn(std::move(socket)); }), "dial_tcp",
               [&] { return race_->object(); });
}

}  // namespace detail

namespace {

detail::dial_operation dial(event_loop& loop, std::string_view network, result<std::vector<endpoint>> addresses,
                            const tcp_options& options) {
  const auto only_v6 = detail::noted(parse_network(network), "dial_tcp", [&] { return std::string(network); });
  if (!only_v6) addresses = fail(only_v6);
  if (!loop.core()) addresses = fail(errc::closed);
  return detail::dial_operation(
      std::make_unique<detail::dial_race>(loop.core(), std::move(addresses), only_v6.value_or(true), options));
}

}  // namespace

detail::dial_operation dial_tcp(event_loop& loop, std::string_view network, std::string_view address,
                                const tcp_options& options) {
  auto parsed = endpoint::parse(address).transform([](const endpoint& to) { return std::vector{to}; });
  return dial(loop, network, detail::noted(std::move(parsed), "dial_tcp", network_and(network, address)), options);
}

detail::dial_operation dial_tcp(event_loop& loop, std::string_view network, const endpoint& address,
                                const tcp_options& options) {
  return dial(loop, network, std::vector{address}, options);
}

detail::dial_operation dial_tcp(event_loop& loop, std::string_view network, std::span<const endpoint> addresses,
                                const tcp_options& options) {
  return dial(loop, network, detail::interleave_families(addresses), options);
}

namespace {

task<result<tcp_conn>> dial_name(event_loop& loop, bool only_v6, std::string host, std::string service,
                                 tcp_options options) {
  const auto family = only_v6 ? resolve_options::family::v6 : resolve_options::family::any;
  const resolve_options wanted{.addresses = family};
  const auto found = co_await resolve(host, service, wanted);
  if (!found) co_return fail(found);
  const std::span<const endpoint> addresses(*found);
  auto dialed = co_await dial_tcp(loop, only_v6 ? "tcp6" : "tcp", addresses, options);
  co_return dialed;
}

task<result<tcp_conn>> fail_later(failure why) {
  co_return why;
}

}  // namespace

task<result<tcp_conn>> dial_tcp(event_loop& loop, std::string_view network, std::string_view host,
                                std::string_view service, const tcp_options& options) {
  const auto only_v6 = detail::noted(parse_network(network), "dial_tcp", [&] { return std::string(network); });
  if (!only_v6) return fail_later(fail(only_v6));
  return dial_name(loop, *only_v6, std::string(host), std::string(service), options);
}

}  // namespace uring6::inline v0
