// A sweep of operator new over a piece of work: its first call fails, then the second one, and so on, until the work
// makes no further call. Once with a single failure, and once with failures until the work is over.
#pragma once

#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <cstddef>
#include <new>
#include <string>
#include <system_error>
#include <thread>

#include "support/case/allocations.hpp"
#include "support/case/coroutines.hpp"
#include "support/case/eventually.hpp"
#include "support/machine/descriptors.hpp"
#include "support/process/forked.hpp"
#include "support/traffic/conns.hpp"

namespace uring6::test {

/// Memory that runs short while the work under test runs, and not while a test prepares or checks it.
class memory_shortage {
 public:
  memory_shortage(std::size_t nth, bool lasting) noexcept : nth_(nth), lasting_(lasting) {}

  void begin() const noexcept { fail_allocation(nth_, lasting_); }
  void end() noexcept {
    if (const std::size_t failed = failed_allocations()) met_ = failed;
    fail_allocation(0);
  }
  bool met() const noexcept { return met_ > 0; }

 private:
  std::size_t nth_;
  bool lasting_;
  std::size_t met_ = 0;
};

/// The work: it begins and ends the shortage around the call under test. Its error is that of the call. It may throw.
using short_work = task<std::error_code> (*)(event_loop& loop, memory_shortage& memory);

namespace shortage_detail {

struct outcome {
  bool met = false;    // an allocation failed
  bool works = false;  // the loop sends, receives and sleeps afterwards
  std::string what;    // empty, "not enough memory", or another text of the error
};

inline task<bool> still_works(event_loop& loop) {
  auto one = open_conn(loop);
  const endpoint self = name_of(one);
  std::array<std::byte, 16> buffer;
  const auto sent = co_await one.write_to(as_payload("still here"), self);
  const auto got = co_await one.read_from(buffer);
  co_return sent&& got&& as_text(got->payload) == "still here";
}

inline std::string text_of(const std::error_code& error) {
  if (!error) return "";
  return error == std::errc::not_enough_memory ? "not enough memory" : error.message();
}

inline task<> try_it(event_loop& loop, short_work work, memory_shortage& memory, outcome& came) {
  std::error_code error;
  std::string other;
  try {
    error = co_await work(loop, memory);
  } catch (const std::bad_alloc&) {
    error = make_error_code(std::errc::not_enough_memory);
  } catch (const std::system_error& failure) {
    error = failure.code();
  } catch (const std::exception& failure) {
    memory.end();
    other = failure.what();
  }
  memory.end();
  came.met = memory.met();
  came.what = other.empty() ? text_of(error) : other;
  came.works = co_await still_works(loop);
}

/// Runs the attempt on a thread of its own: with recycled frames the work would not allocate.
inline outcome attempt(short_work work, std::size_t nth, bool lasting) {
  outcome came;
  std::thread([&] {
    try {
      event_loop loop;
      memory_shortage memory(nth, lasting);
      run(loop, [&] { return try_it(loop, work, memory, came); });
    } catch (const std::exception& failure) {
      fail_allocation(0);
      came.what = failure.what();
    }
  }).join();
  return came;
}

}  // namespace shortage_detail

/// Runs the work with each of its allocations failing in turn. Right is: an error `not_enough_memory` or
/// std::bad_alloc, or no error if the work can do without; the loop works on; nothing is leaked.
inline void sweep_allocations(const std::string& name, short_work work) {
  if (!fail_allocation(0)) SKIP("the sanitizer has operators of its own");
  // The first runs allocate what the process keeps.
  INFO(name);
  for (int i = 0; i < 3; ++i) REQUIRE(shortage_detail::attempt(work, 0, false).what == "");
  for (const bool lasting : {false, true}) {
    std::size_t nth = 1;
    for (bool met = true; met; ++nth) {
      // A thread of run_blocking may be about to release the call of the attempt before.
      (void)eventually(other_threads_sleep);
      const std::size_t octets = allocated_octets();
      const std::size_t descriptors = open_descriptors();
      bool works = false;
      bool right = false;
      std::size_t left = 0;
      {
        const auto came = shortage_detail::attempt(work, nth, lasting);
        met = came.met;
        works = came.works;
        right = came.what.empty() || (met && came.what == "not enough memory");
        if (!right) {
          CAPTURE(nth, lasting, came.what);
          FAIL_CHECK("it ended otherwise");
        }
      }
      left = eventually([&] { return allocated_octets() == octets; }) ? 0 : allocated_octets() - octets;
      CAPTURE(nth, lasting);
      CHECK(works);
      CHECK(left == 0);
      CHECK(open_descriptors() == descriptors);
      REQUIRE(nth < 1'000);
    }
    CHECK(nth > 1);
  }
}

}  // namespace uring6::test
