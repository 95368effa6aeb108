#include "uring6/listen_tcp_group.hpp"

#include <fmt/format.h>

#include <cassert>
#include <new>
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
  auto where = endpoint::parse(address);
  if (!where) return fail(where.error());
  tcp_options each = options;
  each.reuse_port = true;

  std::vector<std::shared_ptr<tcp_listener>> opened;
  result<void> done;
  for (std::size_t i = 0; i < group.size() && done; ++i) {
    const auto open = [&]() -> result<std::shared_ptr<tcp_listener>> {
      auto listener = listen_tcp(group[i], network, *where, each);
      if (!listener) return fail(listener);
      detail::ender<tcp_listener> end(group[i].core());
      return std::shared_ptr<tcp_listener>(new tcp_listener(std::move(*listener)), std::move(end));
    };
    auto one = detail::call_on(group, i, open);
    if (!one) {
      done = fail(one);
      break;
    }
    opened.push_back(std::move(*one));
    if (i > 0) continue;
    const auto chosen = opened.front()->local_endpoint();
    if (chosen) {
      where->port = chosen->port;
    } else {
      done = fail(chosen);
    }
  }
  assert((!done || opened.size() == group.size()) && "each loop has a listener");
  if (done) return opened;
  for (std::size_t i = 0; i < opened.size(); ++i) {
    const auto close = [&]() -> result<void> { return opened[i]->close(); };
    try {
      (void)detail::call_on(group, i, close);
    } catch (const std::bad_alloc&) {
      // The listener is closed when `opened` drops it.
    }
  }
  return fail(done);
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
