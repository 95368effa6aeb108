#include "harness/peers/stream_clients.hpp"

#include <netinet/tcp.h>
#include <sys/epoll.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <limits>

#include "common/clock.hpp"
#include "common/payload.hpp"
#include "harness/process.hpp"

namespace bench {
namespace {

constexpr std::uint64_t patience_ns = 1'000'000'000;
constexpr int patience_ms = 1'000;

}  // namespace

stream_clients::stream_clients(const stream_shape& shape, std::uint16_t port, bool spins)
    : shape_(shape),
      port_(port),
      spins_(spins),
      epoll_(check(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")),
      message_(shape.size),
      all_(shape.connections) {
  for (std::size_t i = 0; i < message_.size(); ++i) message_[i] = static_cast<std::byte>(i * 7);
  for (connection& c : all_) {
    c.room.resize(shape.size * shape.in_flight + 1);  // one more octet: an echo that is too long is seen
    c.begun.resize(shape.in_flight);
    if (!shape.connects_each_time) open(c);
  }
}

void stream_clients::open(connection& c) {
  c.fd = descriptor(check(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
  set_option(c.fd.get(), IPPROTO_TCP, TCP_NODELAY, 1);
  const sockaddr_in6 to = loopback(port_);
  check(::connect(c.fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to), "connect");
  epoll_event event{.events = EPOLLIN, .data = {.ptr = &c}};
  check(::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, c.fd.get(), &event), "epoll_ctl");
}

void stream_clients::run(std::chrono::nanoseconds span, std::uint64_t untimed, loss_account& account,
                         histogram& latencies) {
  untimed_ = untimed;
  span_ = static_cast<std::uint64_t>(span.count());
  end_ = untimed == 0 ? now_ns() + span_ : std::numeric_limits<std::uint64_t>::max();
  account_ = &account;
  latencies_ = &latencies;
  for (connection& c : all_) {
    for (std::size_t i = 0; i < shape_.in_flight; ++i) begin(c);
  }
  std::array<epoll_event, 64> events;
  for (std::uint64_t last_news = now_ns(); account.received < account.sent;) {
    const int ready =
        ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), spins_ ? 0 : patience_ms);
    if (ready < 0 && errno == EINTR) continue;
    check(ready, "epoll_wait");
    bool news = false;
    for (std::size_t i = 0; i < static_cast<std::size_t>(ready); ++i) {
      news = receive(*static_cast<connection*>(events[i].data.ptr)) || news;
    }
    const std::uint64_t now = now_ns();
    if (news) last_news = now;
    if (now - last_news > patience_ns) throw void_run("an answer did not come");
  }
}

void stream_clients::begin(connection& c) {
  c.begun[c.sent % shape_.in_flight] = now_ns();
  if (shape_.connects_each_time) open(c);
  write_stamp(message_.data(), message_.size(), c.sent);
  const auto sent = check(::send(c.fd.get(), message_.data(), message_.size(), MSG_DONTWAIT | MSG_NOSIGNAL), "send");
  if (static_cast<std::size_t>(sent) != message_.size()) throw void_run("the kernel had no room for a whole message");
  ++c.sent;
  ++account_->sent;
}

// False if nothing had come.
bool stream_clients::receive(connection& c) {
  const auto got = ::recv(c.fd.get(), c.room.data() + c.filled, c.room.size() - c.filled, MSG_DONTWAIT);
  if (got < 0 && errno == EAGAIN) return false;
  check(got, "recv");
  if (got == 0) {
    if (!shape_.connects_each_time || c.received != c.sent) throw void_run("the server has ended a connection");
    if (c.filled > 0) throw void_run("the server has sent octets behind an echo");
    c.fd = {};
    finish(c);
    return true;
  }
  c.filled += static_cast<std::size_t>(got);
  std::size_t taken = 0;
  for (; c.filled - taken >= shape_.size; taken += shape_.size) {
    take(c, c.room.data() + taken);
    if (!shape_.connects_each_time) finish(c);
  }
  c.filled -= taken;
  std::memmove(c.room.data(), c.room.data() + taken, c.filled);
  return true;
}

// Whole messages are compared as seldom as whole datagrams: see common/payload.hpp.
void stream_clients::take(connection& c, const std::byte* echo) {
  stamp s;
  std::memcpy(&s, echo, sizeof s);
  bool good = c.received < c.sent && s.sequence == c.received && s.size == shape_.size &&
              s.check == check_word(s.sequence, s.size);
  if (good && s.sequence % full_check_interval == 0) {
    good = std::memcmp(echo + sizeof s, message_.data() + sizeof s, shape_.size - sizeof s) == 0;
  }
  if (!good) ++account_->bad;
  ++c.received;
}

void stream_clients::finish(connection& c) {
  const std::uint64_t now = now_ns();
  if (++account_->received == untimed_) end_ = now + span_;
  if (account_->received > untimed_) latencies_->record(now - c.begun[(c.received - 1) % shape_.in_flight]);
  if (now < end_) begin(c);
}

}  // namespace bench
