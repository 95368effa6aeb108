#include "uring6/listen_tcp_group.hpp"

#include <fmt/format.h>

#include <utility>

#include "net/socket/group_opening.hpp"
#include "sys/failure/failure_note.hpp"
#include "uring6/shield.hpp"

namespace uring6::inline v0 {
namespace {

result<std::vector<std::shared_ptr<tcp_listener>>> open_all_listeners(loop_group& group, std::string_view network,
                                                                      std::string_view address,
                                                                      const tcp_options& options) {
  if (detail::runs_in(group)) return fail(std::errc::resource_deadlock_would_occur);
  const auto where = endpoint::parse(address);
  if (!where) return fail(where.error());
  tcp_options each = options;
  each.reuse_port = true;

  const auto listen = [&](event_loop& loop, const endpoint& at) { return listen_tcp(loop, network, at, each); };
  return detail::open_on_each<tcp_listener>(group, *where, listen, [](tcp_listener&) { return result<void>(); });
}

task<void> hand_over_connections(tcp_listener& from, const std::function<void(tcp_conn&&)>& give) {
  for (;;) {
    auto accepted = co_await from.accept();
    if (!accepted && is_transient(accepted.error())) continue;
    if (!accepted) co_return;
    give(std::move(*accepted));
  }
}

}  // namespace

result<std::vector<std::shared_ptr<tcp_listener>>> detail::open_tcp_group(loop_group& group, std::string_view network,
                                                                          std::string_view address,
                                                                          const tcp_options& options) {
  return noted(open_all_listeners(group, network, address, options), "listen_tcp_group",
               [&] { return fmt::format("{} {}", network, address); });
}

// The shield needs no limit: when the time for the handshakes is over, `accept` ends.
task<void> detail::accept_in_group(std::shared_ptr<tcp_listener> listener, std::chrono::milliseconds handshakes,
                                   std::function<void(tcp_conn&&)> give) {
  co_await hand_over_connections(*listener, give);
  if (listener->stop_accepting(handshakes)) {
    co_await shield(clock::duration::max(), hand_over_connections(*listener, give));
  }
  (void)listener->close();
}

}  // namespace uring6::inline v0
