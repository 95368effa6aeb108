// A ring whose operations this process executes: what each operation does, what waits, and what epoll is asked for.
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "support/machine/environment.hpp"
#include "support/traffic/ring_operations.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using namespace std::chrono_literals;
using detail::ring;

/// The descriptors that epoll reports at present, and for what: "tfd: N events: MASK" of proc(5). One whose event has
/// come has a mask without EPOLLIN and EPOLLOUT.
std::vector<int> registered(ring& on) {
  std::ifstream info("/proc/self/fdinfo/" + std::to_string(on.native().ring_fd));
  std::vector<int> found;
  for (std::string line; std::getline(info, line);) {
    int fd = -1;
    unsigned events = 0;
    if (std::sscanf(line.c_str(), "tfd: %d events: %x", &fd, &events) == 2 && (events & (POLLIN | POLLOUT)))
      found.push_back(fd);
  }
  return found;
}

/// A send of all octets (MSG_WAITALL), for which the socket has no room until its peer reads.
struct send_of_much final : noting_operation {
  explicit send_of_much(int fd_) : fd(fd_) {}
  void prepare(io_uring_sqe& entry) noexcept override {
    ::io_uring_prep_send(&entry, fd, much.data(), much.size(), MSG_WAITALL | MSG_NOSIGNAL);
  }
  int fd;
  const std::vector<char> much = std::vector<char>(1 << 20);
};

struct two_pipe_ends {
  two_pipe_ends() {
    std::array<int, 2> made{};
    REQUIRE(::pipe2(made.data(), O_CLOEXEC) == 0);
    out = file_descriptor(made[0]);
    in = file_descriptor(made[1]);
  }
  file_descriptor out;
  file_descriptor in;
};

// --- kinds of descriptors ---

TEST_CASE("by readiness a read of a pipe waits for data, and then for its end") {
  const auto on = make_readiness_ring();
  two_pipe_ends pipe;
  std::array<char, 8> buffer{};
  prepared read(
      [&](io_uring_sqe& entry) { ::io_uring_prep_read(&entry, pipe.out.get(), buffer.data(), buffer.size(), 0); });
  on->queue(read);
  turn(*on);
  CHECK(read.results.empty());
  CHECK(registered(*on) == std::vector{pipe.out.get()});
  REQUIRE(::write(pipe.in.get(), "abc", 3) == 3);
  drive(*on, [&] { return read.idle(); });
  CHECK(read.result() == 3);
  CHECK(std::string(buffer.data(), 3) == "abc");
  CHECK(registered(*on).empty());  // its one event has come
  read.results.clear();
  on->queue(read);
  turn(*on);
  pipe.in = file_descriptor();
  drive(*on, [&] { return read.idle(); });
  CHECK(read.result() == 0);
}

TEST_CASE("by readiness the system calls that execute an operation are counted") {
  const auto on = make_readiness_ring();
  two_ends pair;
  const auto before = on->driver_calls();
  char octet = 0;
  prepared receive([&](io_uring_sqe& entry) { ::io_uring_prep_recv(&entry, pair.here.get(), &octet, 1, 0); });
  on->queue(receive);
  turn(*on);
  CHECK(on->driver_calls() - before == 2);  // recv: EAGAIN; epoll_ctl
  REQUIRE(::send(pair.there.get(), "x", 1, 0) == 1);
  drive(*on, [&] { return receive.idle(); });
  CHECK(on->driver_calls() - before == 3);
}

TEST_CASE("by readiness a write to a full pipe waits for room and does not block") {
  const auto on = make_readiness_ring();
  two_pipe_ends pipe;
  const std::vector<char> much(1 << 20);
  std::size_t written = 0;
  prepared write([&](io_uring_sqe& entry) {
    ::io_uring_prep_write(&entry, pipe.in.get(), much.data(), static_cast<unsigned>(much.size()), 0);
  });
  for (on->queue(write);; on->queue(write)) {
    turn(*on);
    if (!write.idle()) break;
    REQUIRE(write.results.back().result > 0);
    written += static_cast<std::size_t>(write.results.back().result);
  }
  CHECK(written >= 4096);
  std::vector<char> room(written);
  REQUIRE(::read(pipe.out.get(), room.data(), room.size()) > 0);
  drive(*on, [&] { return write.idle(); });
  CHECK(write.results.back().result > 0);
}

TEST_CASE("by readiness an eventfd is read and written at any offset") {
  const auto on = make_readiness_ring();
  const file_descriptor count = counter();
  std::uint64_t three = 3;
  std::uint64_t got = 0;
  prepared read([&](io_uring_sqe& entry) { ::io_uring_prep_read(&entry, count.get(), &got, sizeof got, 17); });
  on->queue(read);
  turn(*on);
  CHECK(result_of(*on, [&](io_uring_sqe& entry) {
          ::io_uring_prep_write(&entry, count.get(), &three, sizeof three, 17);
        }) == 8);
  drive(*on, [&] { return read.idle(); });
  CHECK(read.result() == 8);
  CHECK(got == 3);
}

TEST_CASE("by readiness a regular file is read, written, polled and described at once") {
  const auto on = make_readiness_ring();
  const file_descriptor file(::memfd_create("text", MFD_CLOEXEC));
  CHECK(result_of(*on, [&](io_uring_sqe& entry) { ::io_uring_prep_write(&entry, file.get(), "0123456789", 10, 0); }) ==
        10);
  std::array<char, 4> buffer{};
  CHECK(result_of(*on, [&](io_uring_sqe& entry) {
          ::io_uring_prep_read(&entry, file.get(), buffer.data(), buffer.size(), 5);
        }) == 4);
  CHECK(std::string(buffer.data(), 4) == "5678");
  CHECK(result_of(*on, [&](io_uring_sqe& entry) { ::io_uring_prep_poll_add(&entry, file.get(), POLLIN); }) == POLLIN);
  struct statx about {};
  CHECK(result_of(*on, [&](io_uring_sqe& entry) {
          ::io_uring_prep_statx(&entry, file.get(), "", AT_EMPTY_PATH, STATX_SIZE, &about);
        }) == 0);
  CHECK(about.stx_size == 10);
  CHECK(result_of(*on, [&](io_uring_sqe& entry) { ::io_uring_prep_fsync(&entry, file.get(), 0); }) == 0);
  const int opened = result_of(*on, [&](io_uring_sqe& entry) {
    ::io_uring_prep_openat(&entry, AT_FDCWD, "/proc/self/stat", O_RDONLY | O_CLOEXEC, 0);
  });
  REQUIRE(opened >= 0);
  CHECK(result_of(*on, [&](io_uring_sqe& entry) { ::io_uring_prep_close(&entry, opened); }) == 0);
  CHECK(::fcntl(opened, F_GETFD) == -1);
}

TEST_CASE("by readiness an operation of another kind, or with another flag, ends with EINVAL") {
  const auto on = make_readiness_ring();
  two_ends pair;
  CHECK(result_of(*on, [&](io_uring_sqe& entry) {
          ::io_uring_prep_splice(&entry, pair.here.get(), -1, pair.there.get(), -1, 1, 0);
        }) == -EINVAL);
  CHECK(result_of(*on, [&](io_uring_sqe& entry) {
          ::io_uring_prep_nop(&entry);
          entry.flags |= IOSQE_IO_LINK;
        }) == -EINVAL);
  CHECK(result_of(*on, [&](io_uring_sqe& entry) {
          ::io_uring_prep_multishot_accept(&entry, pair.here.get(), nullptr, nullptr, 0);
        }) == -EINVAL);
  CHECK(result_of(*on, [&](io_uring_sqe& entry) {
          ::io_uring_prep_recv_multishot(&entry, pair.here.get(), nullptr, 0, 0);
        }) == -EINVAL);
  CHECK(result_of(*on, [&](io_uring_sqe& entry) {
          ::io_uring_prep_recv(&entry, pair.here.get(), nullptr, 8, 0);
          entry.flags |= IOSQE_BUFFER_SELECT;
          entry.buf_group = 7;
        }) == -ENOBUFS);
  char octet = 0;
  CHECK(result_of(*on, [&](io_uring_sqe& entry) { ::io_uring_prep_recv(&entry, -1, &octet, 1, 0); }) == -EBADF);
  CHECK(result_of(*on, [&](io_uring_sqe& entry) { ::io_uring_prep_poll_add(&entry, 1'000'000, POLLIN); }) == -EBADF);
}

// --- what waits ---

TEST_CASE("by readiness a canceled operation ends once, and epoll forgets its descriptor") {
  const auto on = make_readiness_ring();
  two_ends pair;
  wait_readable first(pair.here.get());
  wait_readable second(pair.here.get());
  on->queue(first);
  on->queue(second);
  turn(*on);
  on->cancel(first);
  drive(*on, [&] { return first.idle(); });
  CHECK(first.result() == -ECANCELED);
  CHECK(registered(*on) == std::vector{pair.here.get()});
  on->cancel(second);
  drive(*on, [&] { return second.idle(); });
  CHECK(second.result() == -ECANCELED);
  CHECK(registered(*on).empty());
  REQUIRE(::send(pair.there.get(), "x", 1, 0) == 1);
  turn(*on);
  CHECK(first.results.size() == 1);
  CHECK(second.results.size() == 1);
}

TEST_CASE("by readiness the number of a closed descriptor can wait again") {
  const auto on = make_readiness_ring();
  int number = -1;
  for (int round = 0; round < 3; ++round) {
    two_ends pair;
    if (round > 0) REQUIRE(pair.here.get() == number);
    number = pair.here.get();
    wait_readable readable(number);
    on->queue(readable);
    turn(*on);
    CHECK(readable.results.empty());
    REQUIRE(::send(pair.there.get(), "x", 1, 0) == 1);
    drive(*on, [&] { return readable.idle(); });
    CHECK(readable.result() == POLLIN);
  }
}

TEST_CASE("by readiness readers and writers of one descriptor wait beside each other") {
  const auto on = make_readiness_ring();
  two_ends pair;
  send_of_much send(pair.here.get());
  std::array<char, 8> buffer{};
  prepared receive(
      [&](io_uring_sqe& entry) { ::io_uring_prep_recv(&entry, pair.here.get(), buffer.data(), buffer.size(), 0); });
  on->queue(send);
  on->queue(receive);
  turn(*on);
  CHECK(send.results.empty());
  REQUIRE(::send(pair.there.get(), "hello", 5, 0) == 5);
  drive(*on, [&] { return receive.idle(); });
  CHECK(receive.result() == 5);
  CHECK(send.results.empty());
  std::vector<char> room(send.much.size());
  std::size_t taken = 0;
  drive(*on, [&] {
    const auto got = ::recv(pair.there.get(), room.data(), room.size(), MSG_DONTWAIT);
    if (got > 0) taken += static_cast<std::size_t>(got);
    return send.idle();
  });
  CHECK(send.result() == static_cast<int>(send.much.size()));
  for (ssize_t got = 0; (got = ::recv(pair.there.get(), room.data(), room.size(), MSG_DONTWAIT)) > 0;)
    taken += static_cast<std::size_t>(got);
  CHECK(taken == send.much.size());
}

/// A send that waits for room, when a part of its octets has been sent.
struct waiting_send {
  waiting_send() {
    on->queue(send);
    turn(*on);
    REQUIRE(send.results.empty());
  }
  std::unique_ptr<ring> on = make_readiness_ring();
  two_ends pair;
  send_of_much send{pair.here.get()};
};

TEST_CASE("by readiness a send of MSG_WAITALL that is canceled returns the octets that were sent") {
  waiting_send of;
  of.on->cancel(of.send);
  drive(*of.on, [&] { return of.send.idle(); });
  std::vector<char> room(of.send.much.size());
  CHECK(of.send.result() > 0);
  CHECK(::recv(of.pair.there.get(), room.data(), room.size(), MSG_DONTWAIT) == of.send.result());
}

TEST_CASE("by readiness a send of MSG_WAITALL whose peer closes returns the octets that were sent") {
  waiting_send of;
  REQUIRE(of.pair.there.close().has_value());
  drive(*of.on, [&] { return of.send.idle(); });
  CHECK(of.send.result() > 0);
  CHECK(of.send.result() < static_cast<int>(of.send.much.size()));
}

TEST_CASE("by readiness MSG_DONTWAIT ends with EAGAIN instead of a wait") {
  const auto on = make_readiness_ring();
  two_ends pair;
  char octet = 0;
  CHECK(result_of(*on, [&](io_uring_sqe& entry) {
          ::io_uring_prep_recv(&entry, pair.here.get(), &octet, 1, MSG_DONTWAIT);
        }) == -EAGAIN);
  CHECK(registered(*on).empty());
}

TEST_CASE("by readiness a listener serves several accepts, and a connect that is refused says so") {
  need_ipv6();
  const auto on = make_readiness_ring();
  const auto open = [] { return file_descriptor(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0)); };
  const file_descriptor listener = open();
  sockaddr_in6 name{};
  name.sin6_family = AF_INET6;
  name.sin6_addr = IN6ADDR_LOOPBACK_INIT;
  socklen_t size = sizeof name;
  REQUIRE(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&name), size) == 0);
  REQUIRE(::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&name), &size) == 0);
  const auto connect = [&](int fd) {
    return [fd, &name](io_uring_sqe& entry) {
      ::io_uring_prep_connect(&entry, fd, reinterpret_cast<const sockaddr*>(&name), sizeof name);
    };
  };
  const file_descriptor early = open();
  CHECK(result_of(*on, connect(early.get())) == -ECONNREFUSED);
  REQUIRE(::listen(listener.get(), 8) == 0);
  const auto accept = [&](io_uring_sqe& entry) {
    ::io_uring_prep_accept(&entry, listener.get(), nullptr, nullptr, SOCK_CLOEXEC);
  };
  prepared one(accept);
  prepared two(accept);
  on->queue(one);
  on->queue(two);
  turn(*on);
  CHECK(one.results.empty());
  const file_descriptor first = open();
  const file_descriptor second = open();
  CHECK(result_of(*on, connect(first.get())) == 0);
  CHECK((::fcntl(first.get(), F_GETFL) & O_NONBLOCK) == 0);
  CHECK(result_of(*on, connect(second.get())) == 0);
  drive(*on, [&] { return one.idle() && two.idle(); });
  const file_descriptor accepted_one(one.result());
  const file_descriptor accepted_two(two.result());
  CHECK(accepted_one.get() >= 0);
  CHECK(accepted_two.get() >= 0);
}

TEST_CASE("by readiness a poll that stays armed tells of each event until it is canceled") {
  const auto on = make_readiness_ring();
  two_ends pair(SOCK_DGRAM);
  prepared poll([&](io_uring_sqe& entry) { ::io_uring_prep_poll_multishot(&entry, pair.here.get(), POLLIN); });
  on->queue(poll);
  turn(*on);
  CHECK(poll.results.empty());
  for (std::size_t round = 1; round <= 3; ++round) {
    const std::size_t before = poll.results.size();
    REQUIRE(::send(pair.there.get(), "x", 1, 0) == 1);
    drive(*on, [&] { return poll.results.size() > before; });
    CHECK(poll.results.back().more());
    char octet = 0;
    REQUIRE(::recv(pair.here.get(), &octet, 1, 0) == 1);
  }
  on->cancel(poll);
  drive(*on, [&] { return poll.idle(); });
  CHECK(poll.results.back().result == -ECANCELED);
  CHECK(registered(*on).empty());
}

// --- the queues ---

TEST_CASE("by readiness completions beyond the room of their queue come later, and none is lost") {
  const auto on = make_readiness_ring(8);
  std::vector<std::unique_ptr<nothing>> crowd;
  for (int i = 0; i < 100; ++i) {
    crowd.push_back(std::make_unique<nothing>());
    on->queue(*crowd.back());
  }
  two_ends pair;
  REQUIRE(::send(pair.there.get(), "x", 1, 0) == 1);
  wait_readable readable(pair.here.get());
  on->queue(readable);
  for (int enters = 0; enters < 3; ++enters) REQUIRE_FALSE(on->enter(false, {}));  // without a reap
  drive(*on, [&] { return on->in_flight() == 0 && !on->has_queued(); });
  for (const auto& each : crowd) REQUIRE(each->results.size() == 1);
  CHECK(readable.result() == POLLIN);
  CHECK(on->counters().overflows == 0);
}

TEST_CASE("a ring by readiness that ends with operations in flight touches their memory no more") {
  two_ends pair;
  std::array<char, 4> buffer{'k', 'e', 'p', 't'};
  {
    auto on = make_readiness_ring();
    prepared receive(
        [&](io_uring_sqe& entry) { ::io_uring_prep_recv(&entry, pair.here.get(), buffer.data(), buffer.size(), 0); });
    on->queue(receive);
    turn(*on);
    on->disown();
    on->reap();
    CHECK(receive.result() == -ECANCELED);
    on.reset();
  }
  REQUIRE(::send(pair.there.get(), "lost", 4, 0) == 4);
  CHECK(std::string(buffer.data(), 4) == "kept");
}

}  // namespace
