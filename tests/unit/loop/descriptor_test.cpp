#include "uring6/descriptor.hpp"

#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "support/case/allocations.hpp"
#include "support/case/coroutines.hpp"
#include "support/machine/descriptors.hpp"
#include "support/traffic/conns.hpp"
#include "sys/socket/file_descriptor.hpp"
#include "uring6/timer.hpp"
#include "uring6/when_all.hpp"
#include "uring6/when_any.hpp"
#include "uring6/with_timeout.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;
using namespace std::chrono_literals;

struct pipe_pair {
  explicit pipe_pair(int flags = 0) {
    int ends[2];
    REQUIRE(::pipe2(ends, flags | O_CLOEXEC) == 0);
    out = file_descriptor(ends[0]);
    in = file_descriptor(ends[1]);
  }
  void put(std::string_view text) const {
    REQUIRE(::write(in.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  }

  file_descriptor out;
  file_descriptor in;
};

TEST_CASE("descriptor: a read waits for a pipe, blocking or not, and ends at the pipe's end") {
  for (const int flags : {0, O_NONBLOCK}) {
    event_loop loop;
    pipe_pair ends(flags);
    run(loop, [&]() -> task<> {
      std::array<std::byte, 16> buffer{};
      beside writer(loop, [&]() -> task<> {
        co_await sleep_for(1ms);
        ends.put("hello");
        co_await sleep_for(1ms);
        (void)ends.in.close();
      });
      const auto got = co_await fd::read(ends.out.get(), buffer);
      REQUIRE(got == 5);
      CHECK(std::memcmp(buffer.data(), "hello", 5) == 0);
      const auto end = co_await fd::read(ends.out.get(), buffer);
      CHECK(end == 0);
      co_await writer.join();
    });
  }
}

TEST_CASE("descriptor: a write waits for room, blocking or not") {
  for (const int flags : {0, O_NONBLOCK}) {
    event_loop loop;
    pipe_pair ends(flags);
    run(loop, [&]() -> task<> {
      const std::vector<std::byte> much(1 << 20);
      std::size_t received = 0;
      beside reader(loop, [&]() -> task<> {
        std::array<std::byte, 4096> buffer{};
        for (;;) {
          const auto got = co_await fd::read(ends.out.get(), buffer);
          REQUIRE(got.has_value());
          if (*got == 0) break;
          received += *got;
        }
      });
      for (std::span<const std::byte> rest = much; !rest.empty();) {
        const auto taken = co_await fd::write(ends.in.get(), rest);
        REQUIRE(taken.has_value());
        REQUIRE(*taken > 0);
        rest = rest.subspan(*taken);
      }
      (void)ends.in.close();
      co_await reader.join();
      CHECK(received == much.size());
    });
  }
}

TEST_CASE("descriptor: a file is read and written at its position, and at an offset") {
  event_loop loop;
  const file_descriptor file(::memfd_create("file", MFD_CLOEXEC));
  REQUIRE(file);
  run(loop, [&]() -> task<> {
    std::array<std::byte, 4> buffer{};
    const auto first = co_await fd::write(file.get(), as_payload("0123"));
    CHECK(first == 4);
    const auto second = co_await fd::write(file.get(), as_payload("4567"));
    CHECK(second == 4);
    const auto over = co_await fd::write_at(file.get(), as_payload("ab"), 1);
    CHECK(over == 2);
    const auto at_end = co_await fd::read(file.get(), buffer);
    CHECK(at_end == 0);
    const auto at = co_await fd::read_at(file.get(), buffer, 1);
    REQUIRE(at == 4);
    CHECK(as_text(buffer) == "ab34");
  });
}

TEST_CASE("descriptor: poll returns the events that it found, and reads nothing") {
  event_loop loop;
  pipe_pair ends;
  run(loop, [&]() -> task<> {
    const auto room = co_await fd::poll(ends.in.get(), poll_events::writable);
    REQUIRE(room.has_value());
    CHECK(*room == poll_events::writable);
    ends.put("x");
    for (int i = 0; i < 2; ++i) {
      const auto data = co_await fd::poll(ends.out.get(), poll_events::readable);
      REQUIRE(data.has_value());
      CHECK(*data == poll_events::readable);
    }
    (void)ends.in.close();
    const auto gone = co_await fd::poll(ends.out.get(), poll_events::none);
    REQUIRE(gone.has_value());
    CHECK(has_any(*gone, poll_events::hung_up));
  });
}

TEST_CASE("descriptor: a request on a netlink socket gets its answer") {
  event_loop loop;
  const file_descriptor fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  REQUIRE(fd);
  struct {
    nlmsghdr header;
    rtgenmsg body;
  } request{};
  request.header.nlmsg_len = NLMSG_LENGTH(sizeof request.body);
  request.header.nlmsg_type = RTM_GETLINK;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request.header.nlmsg_seq = 7;
  run(loop, [&]() -> task<> {
    const auto asked = co_await fd::write(fd.get(), std::as_bytes(std::span(&request, 1)));
    REQUIRE(asked == sizeof request);
    std::vector<std::byte> answer(65'536);
    const auto got = co_await fd::read(fd.get(), answer);
    REQUIRE(got.has_value());
    REQUIRE(*got >= sizeof(nlmsghdr));
    nlmsghdr first{};
    std::memcpy(&first, answer.data(), sizeof first);
    CHECK(first.nlmsg_type == RTM_NEWLINK);
    CHECK(first.nlmsg_seq == 7);
  });
}

TEST_CASE("descriptor: a closed descriptor gives the kernel's error") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    std::array<std::byte, 4> buffer{};
    const auto got = co_await fd::read(-1, buffer);
    REQUIRE_FALSE(got.has_value());
    CHECK(got.error() == std::error_code(EBADF, std::system_category()));
    const auto found = co_await fd::poll(-1, poll_events::readable);
    REQUIRE_FALSE(found.has_value());
    CHECK(found.error() == std::error_code(EBADF, std::system_category()));
  });
}

TEST_CASE("descriptor: a pipe without a reader gives EPIPE") {
  struct ignoring {
    ignoring() { before = ::signal(SIGPIPE, SIG_IGN); }
    ~ignoring() { ::signal(SIGPIPE, before); }
    void (*before)(int);
  } const quiet;
  event_loop loop;
  pipe_pair ends;
  (void)ends.out.close();
  run(loop, [&]() -> task<> {
    const auto taken = co_await fd::write(ends.in.get(), as_payload("x"));
    REQUIRE_FALSE(taken.has_value());
    CHECK(taken.error() == std::errc::broken_pipe);
  });
}

TEST_CASE("descriptor: outside of a loop an operation is an error") {
  std::array<std::byte, 4> buffer{};
  auto reader = [&]() -> task<result<std::size_t>> { co_return co_await fd::read(0, buffer); };
  auto alone = reader();
  alone.handle().resume();
  REQUIRE(alone.done());
  CHECK(alone.handle().promise().take().error() == errc::wrong_thread);
}

TEST_CASE("descriptor: a stop before or during an operation, or a deadline, ends it and leaves the data") {
  for (const int flags : {0, O_NONBLOCK}) {
    event_loop loop;
    pipe_pair ends(flags);
    run(loop, [&]() -> task<> {
      std::array<std::byte, 16> buffer{};
      std::error_code how;
      beside reader(loop, [&]() -> task<> {
        const auto got = co_await fd::read(ends.out.get(), buffer);
        if (!got) how = got.error();
        const auto again = co_await fd::read(ends.out.get(), buffer);  // the stop comes before the operation begins
        CHECK(again.error() == errc::canceled);
      });
      co_await sleep_for(1ms);
      reader.request_stop();
      co_await reader.join();
      CHECK(how == errc::canceled);

      const auto late = co_await with_timeout(1ms, fd::read(ends.out.get(), buffer));
      REQUIRE_FALSE(late.has_value());
      CHECK(late.error() == errc::deadline_exceeded);
      const auto in_vain = co_await with_timeout(1ms, fd::poll(ends.out.get(), poll_events::readable));
      REQUIRE_FALSE(in_vain.has_value());
      CHECK(in_vain.error() == errc::deadline_exceeded);

      ends.put("kept");
      const auto got = co_await fd::read(ends.out.get(), buffer);
      CHECK(got == 4);
    });
  }
}

// Each byte is written once and must be counted once, whether the read or the stop was first.
TEST_CASE("descriptor: octets that were read are returned although a stop came, and no others are taken", "[threads]") {
  for (const int flags : {0, O_NONBLOCK}) {
    event_loop loop;
    pipe_pair ends(flags);
    run(loop, [&]() -> task<> {
      std::size_t put = 0;
      std::size_t got_in_all = 0;
      int canceled = 0;
      for (int i = 0; i < 600; ++i) {
        std::array<std::byte, 16> buffer{};
        beside reader(loop, [&]() -> task<> {
          const auto got = co_await fd::read(ends.out.get(), buffer);
          if (got) {
            got_in_all += *got;
          } else {
            REQUIRE(got.error() == errc::canceled);
            ++canceled;
          }
        });
        for (int turns = i % 3; turns > 0; --turns) co_await yield();
        std::thread stopper;
        if (i % 2 == 0) stopper = std::thread([&] { reader.request_stop(); });
        ends.put("abc");
        put += 3;
        if (i % 2 == 1) reader.request_stop();
        co_await reader.join();
        if (stopper.joinable()) stopper.join();
      }
      CHECK(canceled > 0);
      while (got_in_all < put) {
        std::array<std::byte, 256> buffer{};
        const auto rest = co_await with_timeout(10s, fd::read(ends.out.get(), buffer));
        REQUIRE(rest.has_value());
        got_in_all += *rest;
      }
      CHECK(got_in_all == put);
    });
  }
}

TEST_CASE("descriptor: a frame that is destroyed waits for the kernel, in the loop and together with the loop") {
  for (const int flags : {0, O_NONBLOCK}) {
    const std::size_t before = open_descriptors();
    {
      pipe_pair ends(flags);
      auto loop = std::make_unique<event_loop>();
      std::unique_ptr<beside> survivor;
      std::unique_ptr<beside> unsubmitted;
      const auto reads = [&]() -> task<> {
        std::array<std::byte, 4096> buffer{};  // a part of the frame, which is destroyed first
        (void)co_await fd::read(ends.out.get(), buffer);
      };
      run(*loop, [&]() -> task<> {
        auto reader = std::make_unique<beside>(*loop, reads);
        survivor = std::make_unique<beside>(*loop, reads);
        co_await sleep_for(1ms);
        reader.reset();
        unsubmitted = std::make_unique<beside>(*loop, reads);
        co_await yield();
        unsubmitted.reset();
        ends.put("x");
        co_await survivor->join();
      });
      survivor = std::make_unique<beside>(*loop, reads);
      run(*loop, [&]() -> task<> { co_await sleep_for(1ms); });
      loop.reset();
      CHECK_FALSE(survivor->ended());
      ends.put("nobody reads this");
      survivor->request_stop();
      survivor.reset();
      std::array<char, 32> rest{};
      CHECK(::read(ends.out.get(), rest.data(), rest.size()) == 17);
    }
    CHECK(open_descriptors() == before);
  }
}

TEST_CASE("descriptor: in a when_any the poll loses, and the next read finds all octets") {
  event_loop loop;
  pipe_pair ends;
  run(loop, [&]() -> task<> {
    int counted = 0;
    int put = 0;
    std::array<std::byte, 1> buffer{};
    for (int i = 0; i < 300; ++i) {
      if (i % 2 == 0) {
        ends.put("x");
        ++put;
      }
      const auto first = co_await when_any(fd::poll(ends.out.get(), poll_events::readable), sleep_for(0ms));
      if (first.index != 0) continue;
      const auto got = co_await fd::read(ends.out.get(), buffer);
      REQUIRE(got == 1);
      ++counted;
    }
    while (counted < put) {
      const auto got = co_await fd::read(ends.out.get(), buffer);
      REQUIRE(got == 1);
      ++counted;
    }
    CHECK(counted == put);
  });
}

template <class... Operations>
concept can_race = requires(Operations&&... operations) {
  when_any(static_cast<Operations&&>(operations)...);
};

using reading = decltype(fd::read(0, std::span<std::byte>()));
using writing = decltype(fd::write(0, std::span<const std::byte>()));
using sleeping = decltype(sleep_for(1s));

TEST_CASE(
    "descriptor: an operation that loses octets in a lost race does not compile in a when_any without an opt-in") {
  STATIC_CHECK_FALSE(can_race<reading, sleeping>);
  STATIC_CHECK_FALSE(can_race<sleeping, writing>);
  STATIC_CHECK_FALSE(can_race<sleeping, decltype(with_timeout(1s, std::declval<reading>()))>);
  STATIC_CHECK_FALSE(can_race<sleeping, decltype(when_all(std::declval<sleeping>(), std::declval<writing>()))>);
  STATIC_CHECK(can_race<sleeping, decltype(discarding(std::declval<reading>()))>);
  STATIC_CHECK(can_race<sleeping, decltype(with_timeout(1s, discarding(std::declval<reading>())))>);
  STATIC_CHECK(can_race<sleeping, decltype(fd::read_at(0, std::span<std::byte>(), 0))>);
  STATIC_CHECK(can_race<sleeping, decltype(fd::poll(0, poll_events::readable))>);
  STATIC_CHECK(can_race<sleeping, decltype(with_timeout(1s, std::declval<sleeping>()))>);

  event_loop loop;
  pipe_pair ends;
  run(loop, [&]() -> task<> {
    std::array<std::byte, 4> buffer{};
    ends.put("here");
    const auto won = co_await when_any(discarding(fd::read(ends.out.get(), buffer)), sleep_for(1h));
    REQUIRE(won.index == 0);
    CHECK(std::get<0>(won.value) == 4U);
    CHECK(as_text(buffer) == "here");
    const auto lost = co_await when_any(discarding(fd::read(ends.out.get(), buffer)), sleep_for(1ms));
    CHECK(lost.index == 1);
  });
}

TEST_CASE("descriptor: reads and writes allocate nothing once they are warm") {
  event_loop loop;
  pipe_pair ends;
  run(loop, [&]() -> task<> {
    std::array<std::byte, 16> buffer{};
    std::size_t allocated = 0;
    for (int i = 0; i < 200; ++i) {
      const allocation_count count;
      const auto put = co_await fd::write(ends.in.get(), as_payload("abc"));
      const auto got = co_await fd::read(ends.out.get(), buffer);
      if (i >= 20) allocated += count.since();
      REQUIRE(put == 3);
      REQUIRE(got == 3);
    }
    CHECK(allocated == 0);
  });
}

}  // namespace
