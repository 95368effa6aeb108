#include "net/handover/handover_channel.hpp"

#include <array>
#include <cerrno>
#include <utility>

#include "uring6/descriptor.hpp"
#include "uring6/with_timeout.hpp"

namespace uring6::inline v0::detail {
namespace {

result<arrived_message> check_message(received_message&& got, std::span<const std::byte> area) {
  if (got.size == 0) return fail_errno(ECONNRESET);
  if (got.refused && got.descriptors == 0) return fail_errno(EMFILE);
  if (got.truncated || got.refused || got.descriptors > 1) return fail(errc::malformed);
  const auto view = read_message(area.first(got.size));
  if (!view) return fail(errc::malformed);
  if (view->kind == handover_kind::refused) {
    const auto why = read_short(view->body);
    return fail(why ? error_of_wire(*why) : make_error_code(errc::malformed));
  }
  if (view->version != handover_version) return fail_errno(EPROTONOSUPPORT);
  if ((view->kind == handover_kind::socket) != (got.descriptors == 1)) return fail(errc::malformed);
  return arrived_message{*view, std::move(got.passed)};
}

}  // namespace

task<result<void>> send_when_possible(int channel, wire::bytes octets, int passed, clock::time_point until) {
  for (;;) {
    const auto sent = send_message(channel, octets, passed);
    if (!sent && sent.error() == std::errc::broken_pipe) co_return fail_errno(ECONNRESET);  // as a read says it
    if (sent || sent.error() != std::errc::resource_unavailable_try_again) co_return sent;
    const auto room = co_await with_deadline(until, fd::poll(channel, poll_events::writable));
    if (!room) co_return fail(room.error());
  }
}

task<result<arrived_message>> take_message(int channel, std::span<std::byte> area, clock::time_point until) {
  for (;;) {
    auto got = receive_message(channel, area);
    if (got) co_return check_message(std::move(*got), area);
    if (got.error() != std::errc::resource_unavailable_try_again) co_return fail(got.error());
    const auto come = co_await with_deadline(until, fd::poll(channel, poll_events::readable));
    if (!come) co_return fail(come.error());
  }
}

result<void> tell(int channel, handover_kind kind, std::uint32_t value) noexcept {
  std::array<std::byte, 16> area{};
  wire::writer to(area);
  write_short(to, kind, value);
  return send_message(channel, to.written());
}

void refuse(int channel, const std::error_code& why) noexcept {
  (void)tell(channel, handover_kind::refused, wire_error(why));
}

}  // namespace uring6::inline v0::detail
