// submit: operations of the program's own in the loop's ring.
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <chrono>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>

#include "support/case/coroutines.hpp"
#include "support/machine/descriptors.hpp"
#include "support/process/pipe.hpp"
#include "sys/socket/file_descriptor.hpp"
#include "uring6/event_loop.hpp"
#include "uring6/ring.hpp"
#include "uring6/timer.hpp"
#include "uring6/when_any.hpp"
#include "uring6/with_timeout.hpp"

using namespace std::chrono_literals;

namespace uring6 {
namespace {

task<result<std::uint32_t>> read_by_ring(int fd, std::byte* into, unsigned octets) {
  const auto count = co_await submit([=](io_uring_sqe& entry) { io_uring_prep_read(&entry, fd, into, octets, 0); });
  co_return count;
}

task<> read_and_drop(int fd, std::span<std::byte> into) {
  (void)co_await read_by_ring(fd, into.data(), static_cast<unsigned>(into.size()));
}

TEST_CASE("submit: a file is opened, measured, read and closed") {
  event_loop loop;
  test::run(loop, [&]() -> task<> {
    const std::size_t before = test::open_descriptors();
    const auto opened = co_await submit([](io_uring_sqe& entry) {
      io_uring_prep_openat(&entry, AT_FDCWD, "/proc/self/stat", O_RDONLY | O_CLOEXEC, 0);
    });
    REQUIRE(opened.has_value());
    const int fd = static_cast<int>(*opened);
    CHECK(::fcntl(fd, F_GETFD) == FD_CLOEXEC);

    struct statx about {};
    const auto known = co_await submit(
        [&](io_uring_sqe& entry) { io_uring_prep_statx(&entry, fd, "", AT_EMPTY_PATH, STATX_TYPE, &about); });
    CHECK(known == 0U);
    CHECK(S_ISREG(about.stx_mode));

    std::array<std::byte, 4096> buffer;
    const auto count = co_await read_by_ring(fd, buffer.data(), buffer.size());
    REQUIRE(count.has_value());
    const std::string text(reinterpret_cast<const char*>(buffer.data()), *count);
    CHECK(text.starts_with(std::to_string(::getpid()) + " "));

    const auto closed = co_await submit([=](io_uring_sqe& entry) { io_uring_prep_close(&entry, fd); });
    CHECK(closed == 0U);
    CHECK(test::open_descriptors() == before);
  });
}

TEST_CASE("submit: the kernel's errors come as they are") {
  event_loop loop;
  test::run(loop, [&]() -> task<> {
    const auto missing = co_await submit(
        [](io_uring_sqe& entry) { io_uring_prep_openat(&entry, AT_FDCWD, "/no/such/file", O_RDONLY, 0); });
    CHECK(missing == fail_errno(ENOENT));
    const auto unknown = co_await submit([](io_uring_sqe& entry) {
      io_uring_prep_nop(&entry);
      entry.opcode = 255;
    });
    CHECK(unknown == fail_errno(EINVAL));

    // read(fd) would wait until the socket is ready; this operation is the program's.
    std::array<int, 2> pair{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()) == 0);
    const file_descriptor here(pair[0]);
    const file_descriptor there(pair[1]);
    const int fd = here.get();
    std::array<std::byte, 4> buffer;
    std::byte* const into = buffer.data();
    const auto empty =
        co_await submit([=](io_uring_sqe& entry) { io_uring_prep_recv(&entry, fd, into, 4, MSG_DONTWAIT); });
    CHECK(empty == fail_errno(EAGAIN));
  });
}

TEST_CASE("submit: an entry that is not filled does nothing") {
  event_loop loop;
  test::run(loop, [&]() -> task<> {
    const auto ends = test::make_pipe();
    // The entries of the ring hold writes now.
    for (int i = 0; i < 2'000; ++i) {
      const auto written = co_await fd::write(ends.write.get(), std::as_bytes(std::span("x", 1)));
      REQUIRE(written.has_value());
    }
    std::array<char, 4096> octets;
    REQUIRE(::read(ends.read.get(), octets.data(), octets.size()) == 2'000);
    const auto nothing = co_await submit([](io_uring_sqe&) {});
    CHECK(nothing == 0U);
    int left = -1;
    REQUIRE(::ioctl(ends.read.get(), FIONREAD, &left) == 0);
    CHECK(left == 0);
  });
}

TEST_CASE("submit: a stop ends an operation that waits, and what is done is delivered") {
  event_loop loop;
  test::run(loop, [&]() -> task<> {
    const auto ends = test::make_pipe();
    std::array<std::byte, 4> buffer{};
    const auto stopped = co_await with_timeout(1ms, read_by_ring(ends.read.get(), buffer.data(), buffer.size()));
    CHECK(stopped == fail(errc::deadline_exceeded));
    REQUIRE(::write(ends.write.get(), "four", 4) == 4);
    const auto count = co_await with_timeout(1ms, read_by_ring(ends.read.get(), buffer.data(), buffer.size()));
    CHECK(count == 4U);
    CHECK(buffer[3] == std::byte{'r'});
  });
}

TEST_CASE("submit: a coroutine that is destroyed waits for the kernel's last write") {
  event_loop loop;
  test::run(loop, [&]() -> task<> {
    const auto ends = test::make_pipe();
    for (int round = 0; round < 20; ++round) {
      // The sanitizer sees a write of the kernel's to memory that is gone, if the next round reads it.
      auto buffer = std::make_unique<std::array<std::byte, 4>>();
      std::optional<test::beside> reader(std::in_place, loop, read_and_drop(ends.read.get(), *buffer));
      co_await test::yield();
      reader.reset();
      buffer.reset();
      REQUIRE(::write(ends.write.get(), "kept", 4) == 4);
      std::array<std::byte, 4> next{};
      const auto count = co_await read_by_ring(ends.read.get(), next.data(), next.size());
      REQUIRE(count == 4U);
      CHECK(next[0] == std::byte{'k'});
    }
  });
}

TEST_CASE("submit: outside of a running loop is an error, and nothing is called") {
  bool called = false;
  auto outside = submit([&](io_uring_sqe& entry) {
    called = true;
    io_uring_prep_nop(&entry);
  });
  CHECK_FALSE(outside.await_suspend(std::noop_coroutine(), environment()));
  CHECK(outside.await_resume() == fail(errc::wrong_thread));
  CHECK_FALSE(called);
}

using own = decltype(submit([](io_uring_sqe&) {}));
template <class A>
concept may_race = requires(A operation) {
  when_any(std::move(operation), sleep_for(1s));
};
static_assert(!may_race<own> && std::is_nothrow_move_constructible_v<own> && !std::is_copy_constructible_v<own>);

}  // namespace
}  // namespace uring6
