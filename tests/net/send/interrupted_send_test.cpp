// Sends that wait for room and are interrupted. The kernel's own sends are rarely so: the schedules of seeds are.
#include <catch2/catch_test_macros.hpp>
#include <cstdlib>
#include <string>
#include <system_error>

#include "support/case/coroutines.hpp"
#include "support/traffic/conns.hpp"

namespace {

using namespace uring6;
using namespace uring6::test;

/// Loops made while it lives follow the schedule of a seed.
class seeded {
 public:
  explicit seeded(int seed) { ::setenv("URING6_DRIVER", ("seed:" + std::to_string(seed)).c_str(), 1); }
  seeded(const seeded&) = delete;
  seeded& operator=(const seeded&) = delete;
  ~seeded() { before_.empty() ? ::unsetenv("URING6_DRIVER") : ::setenv("URING6_DRIVER", before_.c_str(), 1); }

 private:
  static std::string now() {
    const char* const set = std::getenv("URING6_DRIVER");
    return set ? set : "";
  }
  std::string before_ = now();
};

TEST_CASE("a write that is interrupted while it waits for room is made again") {
  constexpr int seeds = 40;
  constexpr int writes = 50;  // one in 16 finds no room, and one in 32 of these is interrupted at each attempt
  std::uint64_t parked = 0;
  for (int seed = 0; seed < seeds; ++seed) {
    const seeded schedule(seed);
    event_loop loop;
    run(loop, [&]() -> task<> {
      packet_conn at = open_conn(loop);
      packet_conn from = open_conn(loop);
      const endpoint there = name_of(at);
      for (std::uint64_t i = 0; i < writes; ++i) {
        const numbered payload(i);
        const auto sent = co_await from.write_to(payload, there);
        INFO("seed " << seed);
        REQUIRE(sent);
      }
      std::array<std::byte, 16> buffer;
      for (std::uint64_t i = 0; i < writes; ++i) {
        const auto got = co_await at.read_from(buffer);
        REQUIRE(got);
        CHECK(number_in(got->payload) == i);
      }
      parked += from.stats().parked_sends;
    });
  }
  CHECK(parked > seeds);
}

}  // namespace
