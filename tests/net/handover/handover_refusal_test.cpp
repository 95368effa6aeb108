// A hand-over that fails leaves the predecessor as it was, and both sides say why.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "support/case/coroutines.hpp"
#include "support/machine/descriptors.hpp"
#include "support/machine/environment.hpp"
#include "support/traffic/message_pair.hpp"
#include "support/traffic/streams.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using detail::handover_kind;

/// A predecessor with 100 datagrams that its conn has read ahead, a reader that waits while it hands over, and a
/// listener.
struct predecessor {
  explicit predecessor(event_loop& loop) : in(loop), pc(open_conn(loop)), listener(open_listener(loop)) {}

  task<> read_ahead() {
    number_sender sender(name_of(pc));
    sender.send(101);
    co_await read_numbers(pc, 0, 1);
  }

  task<result<void>> offer(std::chrono::milliseconds limit = 60s) {
    handover over(channel.old.get());
    or_throw(over.add("dns", pc));
    or_throw(over.add("control", listener));
    auto gone = co_await over.send(limit);
    co_return gone;
  }

  /// All works on: nothing is lost, nothing comes twice.
  task<> works_on() {
    co_await read_numbers(pc, 1, 101);
    CHECK(pc.stats().received_datagrams == 101);
    CHECK(pc.stats().discarded == 0);
    const file_descriptor client = plain_client(name_of(listener));
    const auto peer = co_await with_timeout(patience, listener.accept());
    CHECK(peer);
  }

  event_loop& in;
  packet_conn pc;
  tcp_listener listener;
  message_pair channel;
};

void expect_refusal(std::error_code wanted, std::function<task<>(message_pair& channel)> successor,
                    std::chrono::milliseconds limit = 60s) {
  event_loop loop;
  run(loop, [&]() -> task<> {
    const std::size_t before = open_descriptors();
    {
      predecessor service(loop);
      co_await service.read_ahead();
      beside other(loop, [&] { return successor(service.channel); });
      const auto gone = co_await service.offer(limit);
      REQUIRE_FALSE(gone);
      CHECK(gone.error() == wanted.default_error_condition());
      CHECK_THAT(fail(gone).text(), ContainsSubstring("handover of 2 sockets"));
      co_await other.join();
      co_await service.works_on();
    }
    CHECK(open_descriptors() == before);
  });
}

std::error_code of(int number) {
  return {number, std::system_category()};
}

/// Takes one message as a successor that the test plays.
task<received_message> next_message(int channel, std::vector<std::byte>& area) {
  area.resize(detail::longest_message);
  for (;;) {
    auto got = receive_message(channel, area);
    if (got) co_return std::move(*got);
    co_await test::yield();
  }
}

TEST_CASE("handover: send and take_over refuse a channel that is no connected socket of SOCK_SEQPACKET") {
  need_ipv6();
  event_loop loop;
  run(loop, [&]() -> task<> {
    packet_conn pc = open_conn(loop);
    const auto send_over = [&](int channel) -> task<std::error_code> {
      handover over(channel);
      or_throw(over.add("dns", pc));
      const auto gone = co_await over.send();
      co_return gone ? std::error_code() : gone.error();
    };
    const file_descriptor file(::open("/dev/null", O_RDWR | O_CLOEXEC));
    const file_descriptor stream = or_throw(open_socket(AF_UNIX, SOCK_STREAM));
    const file_descriptor alone = or_throw(open_socket(AF_UNIX, SOCK_SEQPACKET));
    std::error_code error;
    error = co_await send_over(-1);
    CHECK(error == of(EBADF));
    error = co_await send_over(file.get());
    CHECK(error == of(ENOTSOCK));
    error = co_await send_over(stream.get());
    CHECK(error == std::errc::wrong_protocol_type);
    error = co_await send_over(pc.native_handle());
    CHECK(error == std::errc::wrong_protocol_type);
    error = co_await send_over(alone.get());
    CHECK(error == of(ENOTCONN));
    const auto taken = co_await take_over(-1);
    CHECK(taken.error() == of(EBADF));
    const auto not_connected = co_await take_over(::dup(alone.get()));
    CHECK(not_connected.error() == of(ENOTCONN));
  });
  expect_refusal(of(ECONNRESET), [](message_pair& channel) -> task<> {
    channel.next = file_descriptor();
    co_return;
  });
}

TEST_CASE(
    "handover: a send without sockets, a second send, bad names, too many sockets and a closed conn are refused") {
  need_ipv6();
  event_loop loop;
  run(loop, [&]() -> task<> {
    message_pair channel;
    handover over(channel.old.get());
    const auto none = co_await over.send();
    CHECK(none.error() == std::errc::invalid_argument);
    const auto second = co_await over.send();
    CHECK(second.error() == errc::closed);
    packet_conn pc = open_conn(loop);
    handover named(channel.old.get());
    CHECK(named.add("", pc).error() == errc::out_of_range);
    CHECK(named.add(std::string(256, 'n'), pc).error() == errc::out_of_range);
    CHECK(named.add(std::string(255, 'n'), pc));
    for (int i = 1; i < 4096; ++i) REQUIRE(named.add("dns", pc));
    CHECK(named.add("dns", pc).error() == errc::out_of_range);
    REQUIRE(pc.close());
    handover closed(channel.old.get());
    CHECK(closed.add("dns", pc).error() == errc::closed);
    tcp_listener none_yet;
    CHECK(closed.add("dns", none_yet).error() == errc::closed);
  });
}

TEST_CASE("handover: a conn that is offered twice, has stopped receiving, or is closed meanwhile is not handed over") {
  need_ipv6();
  event_loop loop;
  run(loop, [&]() -> task<> {
    packet_conn pc = open_conn(loop);
    const auto offer = [&](packet_conn& what, bool twice) -> task<std::error_code> {
      message_pair channel;
      or_throw(send_message(channel.next.get(), short_message(handover_kind::ready)));
      handover over(channel.old.get());
      or_throw(over.add("dns", what));
      if (twice) or_throw(over.add("dns", what));
      const auto gone = co_await over.send();
      co_return gone ? std::error_code() : gone.error();
    };
    std::error_code error = co_await offer(pc, true);
    CHECK(error == std::errc::operation_in_progress);
    number_sender sender(name_of(pc));
    sender.send(1);
    co_await read_numbers(pc, 0, 1);

    packet_conn left = open_conn(loop);
    const auto stopped = co_await left.stop_receiving();
    REQUIRE(stopped);
    error = co_await offer(left, false);
    CHECK(error == errc::closed);

    message_pair channel;
    handover over(channel.old.get());
    or_throw(over.add("dns", pc));
    beside successor(loop, [&]() -> task<> {
      auto all = co_await take_over(channel.next.release());
      REQUIRE(all);
      CHECK(pc.release().error() == std::errc::operation_in_progress);
      const auto leaves = co_await pc.stop_receiving();
      CHECK(leaves.error() == std::errc::operation_in_progress);
      REQUIRE(pc.close());
    });
    const auto gone = co_await over.send();
    CHECK(gone.error() == std::errc::operation_canceled);  // the successor has refused
    co_await successor.join();
  });
}

TEST_CASE("handover: a successor that ends half way, at any point, leaves the predecessor as it was") {
  need_ipv6();
  // ready, then so many of the messages: socket, datagrams, socket, end.
  for (int messages = 0; messages <= 4; ++messages) {
    INFO("after " << messages << " messages");
    expect_refusal(of(ECONNRESET), [messages](message_pair& channel) -> task<> {
      or_throw(send_message(channel.next.get(), short_message(handover_kind::ready)));
      std::vector<std::byte> area;
      for (int i = 0; i < messages; ++i) (void)co_await next_message(channel.next.get(), area);
      channel.next = file_descriptor();
    });
  }
}

TEST_CASE("handover: when the limit passes without a confirmation the conns stay, and a late one is refused") {
  need_ipv6();
  expect_refusal(
      errc::deadline_exceeded,
      [](message_pair& channel) -> task<> {
        const file_descriptor same(::fcntl(channel.next.get(), F_DUPFD_CLOEXEC, 0));
        auto all = co_await take_over(channel.next.release());
        REQUIRE(all);
        std::vector<std::byte> area;
        (void)co_await next_message(same.get(), area);  // the predecessor says that it has given up
        REQUIRE(all->discard("dns"));
        REQUIRE(all->discard("control"));
        const auto late = all->confirm();
        CHECK(late.error() == std::errc::broken_pipe);
        CHECK_THAT(fail(late).text(), ContainsSubstring("close the conns unread"));
      },
      10ms);
}

TEST_CASE("handover: a successor that drops its sockets unconfirmed ends the send at once") {
  need_ipv6();
  expect_refusal(make_error_code(std::errc::operation_canceled), [](message_pair& channel) -> task<> {
    const auto all = co_await take_over(channel.next.release());
    REQUIRE(all);
  });
}

TEST_CASE("handover: a stop ends the send, unless the successor has confirmed before") {
  need_ipv6();
  event_loop loop;
  run(loop, [&]() -> task<> {
    predecessor service(loop);
    co_await service.read_ahead();
    result<void> gone;
    beside sending(loop, [&]() -> task<> { gone = co_await service.offer(); });
    co_await test::yield();
    sending.request_stop();
    co_await sending.join();
    CHECK(gone.error() == errc::canceled);
    co_await service.works_on();

    packet_conn pc = open_conn(loop);
    message_pair channel;
    handover over(channel.old.get());
    REQUIRE(over.add("dns", pc));
    beside second(loop, [&]() -> task<> { gone = co_await over.send(); });
    auto all = co_await take_over(channel.next.release());
    REQUIRE(all);
    auto next = or_throw(all->adopt_packet(loop, "dns"));
    REQUIRE(all->confirm());
    second.request_stop();
    co_await second.join();
    CHECK(gone);
  });
}

TEST_CASE("handover: two versions of the messages refuse each other, before any read ends") {
  need_ipv6();
  const auto as_version = [](written_message message, std::uint16_t version) {
    wire::store16(std::span(message.octets()), 4, version);
    return message;
  };
  for (const std::uint16_t version : std::array<std::uint16_t, 3>{0, 2, 65'535}) {
    CAPTURE(version);
    expect_refusal(of(EPROTONOSUPPORT), [&](message_pair& channel) -> task<> {
      or_throw(send_message(channel.next.get(), as_version(short_message(handover_kind::ready), version)));
      std::vector<std::byte> area;
      const auto told = co_await next_message(channel.next.get(), area);
      const auto view = detail::read_message(std::span(area).first(told.size));
      REQUIRE(view);
      CHECK(view->kind == handover_kind::refused);
      CHECK(detail::read_short(view->body) == static_cast<std::uint32_t>(EPROTONOSUPPORT));
    });
  }
  event_loop loop;
  run(loop, [&]() -> task<> {
    message_pair channel;
    REQUIRE(send_message(channel.old.get(), as_version(short_message(handover_kind::end, 1), 2)));
    const auto all = co_await take_over(channel.next.release());
    REQUIRE_FALSE(all);
    CHECK(all.error() == std::errc::protocol_not_supported);
    CHECK_THAT(fail(all).text(), ContainsSubstring("restart without a hand-over"));
  });
}

TEST_CASE("handover: garbage from a successor is refused") {
  need_ipv6();
  const std::vector<written_message> garbage = {
      written_message([](wire::writer& to) { to.zeros(1); }),
      written_message([](wire::writer& to) { to.zeros(12); }),
      written_message([](wire::writer& to) { to.zeros(100'000); }),
      short_message(handover_kind::taken),
      short_message(handover_kind::end),
      short_message(static_cast<handover_kind>(77)),
      written_message([](wire::writer& to) { write_head(to, handover_kind::refused); }),
  };
  for (const written_message& each : garbage) {
    expect_refusal(errc::malformed, [&](message_pair& channel) -> task<> {
      or_throw(send_message(channel.next.get(), each));
      co_return;
    });
    // In place of the confirmation.
    if (&each == &garbage[3]) continue;
    expect_refusal(errc::malformed, [&](message_pair& channel) -> task<> {
      or_throw(send_message(channel.next.get(), short_message(handover_kind::ready)));
      std::vector<std::byte> area;
      for (int i = 0; i < 4; ++i) (void)co_await next_message(channel.next.get(), area);
      or_throw(send_message(channel.next.get(), each));
    });
  }
}

/// The error of a successor that gets these messages; a descriptor goes with those marked.
struct sent_message {
  written_message octets;
  int descriptors = 0;
};

std::error_code error_of(std::vector<sent_message> messages) {
  std::error_code error;
  event_loop loop;
  run(loop, [&]() -> task<> {
    const std::size_t before = open_descriptors();
    {
      packet_conn pc = open_conn(loop);
      message_pair channel;
      for (const sent_message& each : messages) {
        if (each.descriptors <= 1) {
          or_throw(send_message(channel.old.get(), each.octets, each.descriptors == 1 ? pc.native_handle() : -1));
          continue;
        }
        const std::span<const std::byte> octets = each.octets;
        iovec part{const_cast<std::byte*>(octets.data()), octets.size()};
        std::vector<std::byte> control(CMSG_SPACE(sizeof(int) * static_cast<std::size_t>(each.descriptors)));
        msghdr whole{};
        whole.msg_iov = &part;
        whole.msg_iovlen = 1;
        whole.msg_control = control.data();
        whole.msg_controllen = control.size();
        cmsghdr* const rights = CMSG_FIRSTHDR(&whole);
        *rights = {CMSG_LEN(sizeof(int) * static_cast<std::size_t>(each.descriptors)), SOL_SOCKET, SCM_RIGHTS};
        for (int i = 0; i < each.descriptors; ++i) {
          const int fd = pc.native_handle();
          std::memcpy(CMSG_DATA(rights) + static_cast<std::size_t>(i) * sizeof fd, &fd, sizeof fd);
        }
        REQUIRE(::sendmsg(channel.old.get(), &whole, 0) > 0);
      }
      REQUIRE(::shutdown(channel.old.get(), SHUT_WR) == 0);
      const auto all = co_await take_over(channel.next.release());
      REQUIRE_FALSE(all);
      error = all.error();
    }
    CHECK(open_descriptors() == before);
  });
  return error;
}

written_message socket_message(std::uint32_t datagrams, bool listener = false) {
  return written_message([&](wire::writer& to) {
    detail::offered_head head;
    head.name = "dns";
    head.datagrams = datagrams;
    head.listener = listener;
    write_socket(to, head);
  });
}

written_message datagram_message(int count) {
  return written_message([&](wire::writer& to) {
    write_head(to, handover_kind::datagrams);
    const kept_datagram each{.payload = std::vector<std::byte>(100), .full_length = 100};
    for (int i = 0; i < count; ++i) detail::write_datagram(to, each);
  });
}

TEST_CASE("take_over: a predecessor that ends half way, and messages out of order, cut off or needless, are errors") {
  need_ipv6();
  const auto end = short_message(handover_kind::end, 1);
  const std::error_code malformed = errc::malformed;
  CHECK(error_of({}) == of(ECONNRESET));
  CHECK(error_of({{socket_message(2), 1}, {datagram_message(1)}}) == of(ECONNRESET));
  CHECK(error_of({{short_message(handover_kind::refused, EMFILE)}}) == of(EMFILE));
  CHECK(error_of({{short_message(handover_kind::refused, 0)}}) == of(EPROTO));
  CHECK(error_of({{end}}) == malformed);                                                           // nothing came
  CHECK(error_of({{socket_message(0)}, {end}}) == malformed);                                      // no descriptor
  CHECK(error_of({{socket_message(0), 2}, {end}}) == malformed);                                   // two
  CHECK(error_of({{socket_message(0), 253}, {end}}) == malformed);                                 // very many
  CHECK(error_of({{socket_message(1), 1}, {end}}) == malformed);                                   // a datagram lacks
  CHECK(error_of({{socket_message(1), 1}, {socket_message(0), 1}, {end}}) == malformed);           // the same
  CHECK(error_of({{socket_message(1), 1}, {datagram_message(2)}, {end}}) == malformed);            // one too many
  CHECK(error_of({{datagram_message(1)}}) == malformed);                                           // of no socket
  CHECK(error_of({{socket_message(1, true), 1}, {datagram_message(1)}, {end}}) == malformed);      // of a listener
  CHECK(error_of({{socket_message(0), 1}, {short_message(handover_kind::end, 2)}}) == malformed);  // a socket lacks
  CHECK(error_of({{socket_message(0), 1}, {end, 1}}) == malformed);                                // needless one
  CHECK(error_of({{short_message(handover_kind::ready)}}) == malformed);
  CHECK(error_of({{short_message(static_cast<handover_kind>(0))}}) == malformed);
  CHECK(error_of({{written_message([](wire::writer& to) { write_head(to, handover_kind::datagrams); })}}) == malformed);
  // Each beginning of a good message.
  const auto first_octets = [](written_message of, std::size_t length) {
    of.octets().resize(length);
    return of;
  };
  const auto length_of = [](const written_message& whole) { return std::span<const std::byte>(whole).size(); };
  for (std::size_t length = 1; length < length_of(socket_message(1)); ++length) {
    CAPTURE(length);
    CHECK(error_of({{first_octets(socket_message(1), length), 1}}) == malformed);
  }
  for (std::size_t length = 1; length < length_of(datagram_message(1)); ++length) {
    CAPTURE(length);
    CHECK(error_of({{socket_message(1), 1}, {first_octets(datagram_message(1), length)}}) == malformed);
  }
}

TEST_CASE("take_over: a stop ends the wait, and the predecessor is told") {
  need_ipv6();
  event_loop loop;
  run(loop, [&]() -> task<> {
    message_pair channel;
    std::error_code error;
    beside waiting(loop, [&]() -> task<> {
      const auto all = co_await take_over(channel.next.release());
      error = all.error();
    });
    co_await test::yield();
    waiting.request_stop();
    co_await waiting.join();
    CHECK(error == errc::canceled);
    std::vector<std::byte> area;
    (void)co_await next_message(channel.old.get(), area);
    const auto told = co_await next_message(channel.old.get(), area);
    const auto view = detail::read_message(std::span(area).first(told.size));
    REQUIRE(view);
    CHECK(view->kind == handover_kind::refused);
    CHECK(detail::read_short(view->body) == static_cast<std::uint32_t>(ECANCELED));
  });
}

}  // namespace
