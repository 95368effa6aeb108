#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstddef>
#include <memory>
#include <new>
#include <span>
#include <utility>
#include <vector>

#include "net/handover/handover_channel.hpp"
#include "net/packet/adoption.hpp"
#include "sys/failure/failure_note.hpp"
#include "uring6/handover.hpp"

namespace uring6::inline v0 {
namespace detail {

struct taken_socket {
  std::string name;
  bool listener;
  file_descriptor fd;  // empty: it was adopted or discarded
  released_packet packets;
};

struct taken_sockets {
  explicit taken_sockets(file_descriptor&& over) noexcept : channel(std::move(over)) {}
  taken_sockets(const taken_sockets&) = delete;
  taken_sockets& operator=(const taken_sockets&) = delete;
  ~taken_sockets() {
    if (!decided) refuse(channel.get(), make_error_code(errc::canceled));
  }

  /// The first one with this name that is still here; nullptr: none.
  taken_socket* find(std::string_view name) noexcept {
    const auto found =
        std::ranges::find_if(all, [&](const taken_socket& each) { return each.fd && each.name == name; });
    return found == all.end() ? nullptr : &*found;
  }

  file_descriptor channel;
  std::vector<taken_socket> all{};
  bool decided = false;  // confirmed, or the predecessor knows that it failed
};

}  // namespace detail

namespace {

using detail::clock;
using detail::handover_kind;
using detail::taken_socket;
using detail::taken_sockets;
namespace wire = uring6::wire;

result<void> add_socket(taken_sockets& to, wire::bytes body, file_descriptor&& fd, std::size_t& datagrams_due) {
  auto head = detail::read_socket(body);
  if (!head || datagrams_due > 0 || to.all.size() >= detail::most_handed_over) return fail(errc::malformed);
  datagrams_due = head->datagrams;
  released_packet packets;
  packets.fd = fd.get();
  packets.kernel_drops = head->kernel_drops;
  packets.peer = head->peer;
  to.all.push_back({std::move(head->name), head->listener, std::move(fd), std::move(packets)});
  return {};
}

result<void> add_datagrams(taken_sockets& to, wire::bytes body, std::size_t& due) {
  wire::reader from(body);
  do {
    auto next = detail::read_datagram(from);
    if (!next || due == 0) return fail(errc::malformed);
    assert(!to.all.empty() && "a socket has said how many come");
    to.all.back().packets.datagrams.push_back(std::move(*next));
    --due;
  } while (!from.empty());
  return {};
}

task<result<void>> take_all(taken_sockets& to) {
  if (auto right = check_message_socket(to.channel.get()); !right) co_return right;
  std::vector<std::byte> area(detail::longest_message);
  const auto told = detail::tell(to.channel.get(), handover_kind::ready);
  if (!told && told.error() == std::errc::broken_pipe) co_return fail_errno(ECONNRESET);
  if (!told) co_return told;
  std::size_t datagrams_due = 0;
  for (;;) {
    auto got = co_await detail::take_message(to.channel.get(), area, clock::time_point::max());
    if (!got) co_return fail(got.error());
    result<void> added;
    switch (got->view.kind) {
      case handover_kind::socket:
        added = add_socket(to, got->view.body, std::move(got->passed), datagrams_due);
        break;
      case handover_kind::datagrams:
        added = add_datagrams(to, got->view.body, datagrams_due);
        break;
      case handover_kind::end:
        if (datagrams_due > 0 || to.all.empty() || detail::read_short(got->view.body) != to.all.size())
          co_return fail(errc::malformed);
        co_return added;
      default:
        co_return fail(errc::malformed);
    }
    if (!added) co_return added;
  }
}

task<result<void>> take_all_or_refuse(taken_sockets& to) {
  result<void> done;
  try {
    done = co_await take_all(to);
  } catch (const std::bad_alloc&) {
    done = fail(std::errc::not_enough_memory);
  }
  if (!done) {
    detail::refuse(to.channel.get(), done.error());
    to.decided = true;
  }
  co_return done;
}

task<result<takeover>> take_over_by(std::unique_ptr<taken_sockets> inside) {
  const int channel = inside->channel.get();
  auto done = co_await take_all_or_refuse(*inside);
  const auto noted = detail::noted(std::move(done), "take_over", detail::descriptor_number(channel));
  if (!noted) co_return fail(noted);
  co_return takeover(std::move(inside));
}

auto name_of(std::string_view name) {
  return [=] { return std::string(name); };
}

}  // namespace

takeover::takeover(std::unique_ptr<detail::taken_sockets> inside) noexcept : inside_(std::move(inside)) {}
takeover::takeover(takeover&&) noexcept = default;
takeover& takeover::operator=(takeover&&) noexcept = default;
takeover::~takeover() = default;

std::vector<std::string> takeover::names() const {
  std::vector<std::string> found;
  if (!inside_) return found;
  for (const taken_socket& each : inside_->all) {
    if (each.fd) found.push_back(each.name);
  }
  return found;
}

result<packet_conn> takeover::adopt_packet(event_loop& loop, std::string_view name, const packet_options& options) {
  const auto adopt = [&]() -> result<packet_conn> {
    taken_socket* const from = inside_ ? inside_->find(name) : nullptr;
    if (!from) return fail(std::errc::invalid_argument);
    if (from->listener) return fail(std::errc::wrong_protocol_type);
    auto made = detail::adopt_handed_over(loop, from->packets, options);
    if (!made) return made;
    (void)from->fd.release();
    from->packets = {};
    return made;
  };
  return detail::noted(adopt(), "takeover::adopt_packet", name_of(name));
}

result<tcp_listener> takeover::adopt_listener(event_loop& loop, std::string_view name, const tcp_options& options) {
  const auto adopt = [&]() -> result<tcp_listener> {
    taken_socket* const from = inside_ ? inside_->find(name) : nullptr;
    if (!from) return fail(std::errc::invalid_argument);
    if (!from->listener) return fail(std::errc::wrong_protocol_type);
    auto made = uring6::adopt_listener(loop, from->fd.get(), options);
    if (made) (void)from->fd.release();
    return made;
  };
  return detail::noted(adopt(), "takeover::adopt_listener", name_of(name));
}

result<void> takeover::discard(std::string_view name) {
  taken_socket* const which = inside_ ? inside_->find(name) : nullptr;
  if (!which)
    return detail::noted(result<void>(fail(std::errc::invalid_argument)), "takeover::discard", name_of(name));
  which->fd = file_descriptor();
  which->packets = {};
  return {};
}

result<void> takeover::confirm() {
  if (!inside_ || inside_->decided) return fail(errc::closed);
  const auto left = std::ranges::find_if(inside_->all, [](const taken_socket& each) { return bool(each.fd); });
  if (left != inside_->all.end()) {
    return detail::noted(result<void>(fail(std::errc::invalid_argument)), "takeover::confirm",
                         [&] { return "without " + left->name + ", which is neither adopted nor discarded"; });
  }
  inside_->decided = true;
  return detail::noted(detail::tell(inside_->channel.get(), handover_kind::taken), "takeover::confirm",
                       detail::descriptor_number(inside_->channel.get()));
}

task<result<takeover>> take_over(int channel) {
  file_descriptor owned(channel);
  return take_over_by(std::make_unique<taken_sockets>(std::move(owned)));
}

}  // namespace uring6::inline v0
