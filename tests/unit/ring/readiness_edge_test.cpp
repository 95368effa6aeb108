// A ring whose operations this process executes, where a kernel's behaviour is easily missed.
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pty.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "support/machine/environment.hpp"
#include "support/traffic/ring_operations.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using detail::ring;

/// Would an enter that sleeps find something ready at once?
bool wakes(ring& on) {
  pollfd set{.fd = on.native().ring_fd, .events = POLLIN, .revents = 0};
  return ::poll(&set, 1, 0) == 1;
}

/// A file without a name, on a disk where there is one.
file_descriptor temporary_file() {
  std::string name = std::filesystem::temp_directory_path() / "uring6-XXXXXX";
  file_descriptor file(::mkstemp(name.data()));
  REQUIRE(file.get() >= 0);
  REQUIRE(::unlink(name.c_str()) == 0);
  return file;
}

TEST_CASE("by readiness a send to a closed stream ends with EPIPE, and no signal ends the program") {
  const auto on = make_readiness_ring();
  two_ends pair;
  pair.there = file_descriptor();
  CHECK(result_of(*on, [&](io_uring_sqe& entry) { ::io_uring_prep_send(&entry, pair.here.get(), "x", 1, 0); }) ==
        -EPIPE);
  char octet = 0;
  iovec part{&octet, 1};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  CHECK(result_of(*on, [&](io_uring_sqe& entry) { ::io_uring_prep_sendmsg(&entry, pair.here.get(), &message, 0); }) ==
        -EPIPE);
}

TEST_CASE("by readiness a poll that stays armed on a regular file ends with its first completion") {
  const auto on = make_readiness_ring();
  const file_descriptor file(::memfd_create("text", MFD_CLOEXEC));
  prepared poll([&](io_uring_sqe& entry) { ::io_uring_prep_poll_multishot(&entry, file.get(), POLLIN); });
  on->queue(poll);
  drive(*on, [&] { return poll.idle(); });
  REQUIRE(poll.results.size() == 1);
  CHECK(poll.result() == POLLIN);
  CHECK_FALSE(poll.results[0].more());
  CHECK(result_of(*on, [&](io_uring_sqe& entry) { ::io_uring_prep_poll_add(&entry, file.get(), POLLPRI); }) == -EINVAL);
}

TEST_CASE("by readiness a poll for nothing waits for errors, hang-ups and the peer's end") {
  const auto on = make_readiness_ring();
  two_ends pair;
  prepared nothing_asked([&](io_uring_sqe& entry) { ::io_uring_prep_poll_add(&entry, pair.here.get(), 0); });
  on->queue(nothing_asked);
  turn(*on);
  CHECK(nothing_asked.results.empty());
  REQUIRE(::shutdown(pair.there.get(), SHUT_WR) == 0);
  drive(*on, [&] { return nothing_asked.idle(); });
  CHECK(nothing_asked.result() == POLLRDHUP);
}

TEST_CASE("by readiness an entry with a field that has no meaning here ends with EINVAL") {
  const auto on = make_readiness_ring();
  two_ends pair;
  const file_descriptor kept(::fcntl(pair.here.get(), F_DUPFD_CLOEXEC, 0));
  CHECK(result_of(*on, [&](io_uring_sqe& entry) {
          ::io_uring_prep_close_direct(&entry, 0);
          entry.fd = kept.get();  // the prepared entry names descriptor 0
        }) == -EINVAL);
  CHECK(::fcntl(kept.get(), F_GETFD) >= 0);
  CHECK(result_of(*on, [&](io_uring_sqe& entry) { ::io_uring_prep_cancel64(&entry, 1, 0); }) == -EINVAL);
  CHECK(result_of(*on, [&](io_uring_sqe& entry) {
          ::io_uring_prep_send(&entry, pair.here.get(), "x", 1, 0);
          entry.flags |= IOSQE_BUFFER_SELECT;
        }) == -EINVAL);
}

TEST_CASE("by readiness an error queue that stays full does not keep the ring awake") {
  need_ipv6();
  const auto on = make_readiness_ring();
  const file_descriptor socket(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const int yes = 1;
  REQUIRE(::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_RECVERR, &yes, sizeof yes) == 0);
  sockaddr_in6 refusing{};
  refusing.sin6_family = AF_INET6;
  refusing.sin6_addr = IN6ADDR_LOOPBACK_INIT;
  socklen_t size = sizeof refusing;
  auto* const address = reinterpret_cast<sockaddr*>(&refusing);
  {
    const file_descriptor closed(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    REQUIRE(::bind(closed.get(), address, size) == 0);
    REQUIRE(::getsockname(closed.get(), address, &size) == 0);
  }
  REQUIRE(::sendto(socket.get(), "x", 1, 0, address, size) == 1);
  pollfd error{.fd = socket.get(), .events = 0, .revents = 0};
  REQUIRE(::poll(&error, 1, 5'000) == 1);
  REQUIRE(error.revents == POLLERR);
  char octet = 0;
  (void)::recv(socket.get(), &octet, 1, MSG_DONTWAIT);  // takes the pending error, not the queue
  prepared receive([&](io_uring_sqe& entry) { ::io_uring_prep_recv(&entry, socket.get(), &octet, 1, 0); });
  on->queue(receive);
  for (int turns = 0; turns < 5; ++turns) turn(*on);
  CHECK(receive.results.empty());
  CHECK_FALSE(wakes(*on));
}

TEST_CASE("by readiness two reads of one descriptor share what comes, and the second one waits on") {
  const auto on = make_readiness_ring();
  const file_descriptor news(::inotify_init1(IN_CLOEXEC));  // its kind takes no RWF_NOWAIT
  const file_descriptor file = temporary_file();
  const std::string path = "/proc/self/fd/" + std::to_string(file.get());
  REQUIRE(::inotify_add_watch(news.get(), path.c_str(), IN_MODIFY) >= 0);
  std::array<char, 512> one{};
  std::array<char, 512> two{};
  prepared first([&](io_uring_sqe& entry) { ::io_uring_prep_read(&entry, news.get(), one.data(), one.size(), 0); });
  prepared second([&](io_uring_sqe& entry) { ::io_uring_prep_read(&entry, news.get(), two.data(), two.size(), 0); });
  on->queue(first);
  on->queue(second);
  turn(*on);
  REQUIRE(::write(file.get(), "x", 1) == 1);
  drive(*on, [&] { return first.idle(); });
  turn(*on);
  CHECK(first.result() > 0);
  CHECK(second.results.empty());
  REQUIRE(::write(file.get(), "x", 1) == 1);
  drive(*on, [&] { return second.idle(); });
  CHECK(second.result() > 0);
  CHECK((::fcntl(news.get(), F_GETFL) & O_NONBLOCK) == 0);
}

TEST_CASE("by readiness a write to a terminal that is not read waits and does not block") {
  const auto on = make_readiness_ring();
  int ends[2];
  REQUIRE(::openpty(&ends[0], &ends[1], nullptr, nullptr, nullptr) == 0);
  const file_descriptor screen(ends[0]);
  const file_descriptor terminal(ends[1]);
  const std::vector<char> much(3'000, 'x');
  prepared write([&](io_uring_sqe& entry) {
    ::io_uring_prep_write(&entry, terminal.get(), much.data(), static_cast<unsigned>(much.size()), 0);
  });
  for (int writes = 0; writes < 1'000; ++writes) {
    on->queue(write);
    turn(*on);
    if (!write.idle()) break;
    REQUIRE(write.results.back().result > 0);
  }
  REQUIRE_FALSE(write.idle());
  on->cancel(write);
  drive(*on, [&] { return write.idle(); });
  CHECK(write.results.back().result == -ECANCELED);
}

TEST_CASE("by readiness entries that found no room for a completion are news") {
  const auto on = make_readiness_ring(8);
  std::vector<std::unique_ptr<nothing>> crowd;
  for (int i = 0; i < 8; ++i) {
    crowd.push_back(std::make_unique<nothing>());
    on->queue(*crowd.back());
  }
  turn(*on);
  REQUIRE(on->in_flight() > 0);
  CHECK(on->has_news());
}

// The kernel signals the first of them by an edge, and no other one after that.
TEST_CASE("by readiness an armed read takes all datagrams that came together") {
  const auto on = make_readiness_ring();
  spare_buffers buffers(*on);
  for (int i = 0; i < 2; ++i) buffers.refill();
  two_ends pair(SOCK_SEQPACKET);
  armed_read read(pair.here.get());
  on->queue(read);
  turn(*on);
  std::size_t sent = 0;
  for (const std::size_t together : {1U, 2U, 5U, 2U, 1U, 4U}) {
    for (std::size_t i = 0; i < together; ++i) REQUIRE(::send(pair.there.get(), "x", 1, 0) == 1);
    sent += together;
    for (int turns = 0; turns < 5; ++turns) turn(*on);
    CHECK(read.results.size() == sent);
  }
  on->cancel(read);
  drive(*on, [&] { return on->in_flight() == 0; });
}

TEST_CASE("by readiness a busy socket leaves room for the completions of others") {
  const auto on = make_readiness_ring(8);
  spare_buffers buffers(*on);
  for (int i = 0; i < 8; ++i) buffers.refill();
  two_ends busy(SOCK_SEQPACKET);
  two_ends calm(SOCK_SEQPACKET);
  const auto fill = [&] {
    while (::send(busy.there.get(), "x", 1, MSG_DONTWAIT) == 1) {
    }
  };
  fill();
  armed_read much(busy.here.get());
  armed_read little(calm.here.get());
  on->queue(much);
  on->queue(little);
  for (int turns = 0; turns < 3; ++turns) turn(*on);
  REQUIRE(little.results.empty());
  REQUIRE(::send(calm.there.get(), "y", 1, 0) == 1);
  for (int turns = 0; turns < 20; ++turns) {
    fill();
    buffers.refill();
    turn(*on);
  }
  REQUIRE(much.results.size() > 100);
  CHECK(little.results.size() == 1);
  on->cancel(much);
  on->cancel(little);
  drive(*on, [&] { return on->in_flight() == 0; });
}

TEST_CASE("by readiness a write keeps its flags") {
  const auto on = make_readiness_ring();
  const file_descriptor file(::memfd_create("text", MFD_CLOEXEC));
  REQUIRE(::write(file.get(), "abc", 3) == 3);
  CHECK(result_of(*on, [&](io_uring_sqe& entry) {
          ::io_uring_prep_write(&entry, file.get(), "de", 2, 0);
          entry.rw_flags = RWF_APPEND;
        }) == 2);
  std::array<char, 8> content{};
  REQUIRE(::pread(file.get(), content.data(), content.size(), 0) == 5);
  CHECK(std::string(content.data(), 5) == "abcde");
}

TEST_CASE("by readiness a receive of all octets goes on after a part") {
  const auto on = make_readiness_ring();
  two_ends pair;
  std::array<char, 8> buffer{};
  prepared receive(
      [&](io_uring_sqe& entry) { ::io_uring_prep_recv(&entry, pair.here.get(), buffer.data(), 6, MSG_WAITALL); });
  REQUIRE(::send(pair.there.get(), "abc", 3, 0) == 3);
  on->queue(receive);
  turn(*on);
  CHECK(receive.results.empty());
  REQUIRE(::send(pair.there.get(), "def", 3, 0) == 3);
  drive(*on, [&] { return receive.idle(); });
  CHECK(receive.result() == 6);
  CHECK(std::string(buffer.data(), 6) == "abcdef");
  receive.results.clear();
  on->queue(receive);
  turn(*on);
  REQUIRE(::send(pair.there.get(), "g", 1, 0) == 1);
  turn(*on);
  pair.there = file_descriptor();
  drive(*on, [&] { return receive.idle(); });
  CHECK(receive.result() == 1);
}

TEST_CASE("by readiness a regular file is read beyond what is cached") {
  const auto on = make_readiness_ring();
  const file_descriptor file = temporary_file();
  std::vector<char> content(1 << 18, 'x');
  REQUIRE(::write(file.get(), content.data(), content.size()) == static_cast<ssize_t>(content.size()));
  REQUIRE(::fsync(file.get()) == 0);
  REQUIRE(::posix_fadvise(file.get(), 0, 0, POSIX_FADV_DONTNEED) == 0);
  REQUIRE(::posix_fadvise(file.get(), 0, 0, POSIX_FADV_RANDOM) == 0);
  REQUIRE(::pread(file.get(), content.data(), 4096, 0) == 4096);
  CHECK(result_of(*on, [&](io_uring_sqe& entry) {
          ::io_uring_prep_read(&entry, file.get(), content.data(), static_cast<unsigned>(content.size()), 0);
        }) == static_cast<int>(content.size()));
}

}  // namespace
