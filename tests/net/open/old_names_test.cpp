// The deprecated names of 0.1: each is the new one.

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cstdint>
#include <span>
#include <type_traits>

#include "support/case/coroutines.hpp"
#include "support/traffic/conns.hpp"
#include "support/traffic/streams.hpp"
#include "sys/socket/file_descriptor.hpp"
#include "uring6/conn.hpp"
#include "uring6/uring6.hpp"

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

namespace {

using namespace uring6;
using namespace uring6::test;

static_assert(errc::bad_address == errc::not_an_address);
static_assert(std::is_same_v<conn, ip_options>);
static_assert(std::is_same_v<header, ipv6_header>);
static_assert(std::is_same_v<incoming, read_slot>);
static_assert(std::is_same_v<outgoing, write_slot>);
static_assert(max_encoded_size == cmsg::max_encoded_size);
static_assert(control_space(5) == cmsg::space(5));
static_assert(control_space(all_control_flags) == cmsg::space(all_control_flags));
static_assert(encoded_size({.hop_limit = 1}) == cmsg::encoded_size({.hop_limit = 1}));

TEST_CASE("the old names of the functions for control bytes still write and read them") {
  std::array<std::byte, cmsg::max_encoded_size> area{};
  const auto written = encode({.hop_limit = 7}, area);
  REQUIRE(written);
  const std::span<const std::byte> control = std::span(area).first(*written);
  CHECK(decode(control) == control_message{.hop_limit = 7});
  CHECK(decode_prefix(control) == control_message{.hop_limit = 7});
}

TEST_CASE("the old names of the operations on descriptors still move octets") {
  std::array<int, 2> ends{};
  REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
  const file_descriptor out(ends[0]);
  const file_descriptor in(ends[1]);
  event_loop loop;
  run(loop, [&]() -> task<> {
    const auto put = co_await write(in.get(), as_payload("abc"));
    CHECK(put == 3U);
    const auto ready = co_await poll(out.get(), poll_events::readable);
    CHECK(ready == poll_events::readable);
    std::array<std::byte, 8> buffer;
    const auto got = co_await read(out.get(), buffer);
    CHECK(got == 3U);
    // A pipe has no positions: the kernel passes over the offset.
    const auto to = co_await write_at(in.get(), as_payload("de"), 0);
    CHECK(to == 2U);
    const auto at = co_await read_at(out.get(), buffer, 0);
    CHECK(at == 2U);
  });
}

TEST_CASE("the old names of options and requests still act") {
  event_loop loop;
  run(loop, [&]() -> task<> {
    ends pair = co_await connect(loop);
    REQUIRE(pair.here.set_probes(std::nullopt));
    CHECK_FALSE(or_throw(pair.here.probes()));
    CHECK_FALSE(or_throw(pair.here.keep_alive()));
    auto at = open_conn(loop);
    REQUIRE(at.set_multicast_interface(or_throw(interface::by_name("lo"))));
    REQUIRE(at.clear_multicast_interface());
    CHECK_FALSE(or_throw(at.multicast_interface()));
  });
  loop.stop();
  const auto sleep = []() -> task<bool> {
    const auto slept = co_await sleep_for(patience);
    co_return slept.error() == errc::canceled;
  };
  CHECK(loop.run(sleep()));
}

TEST_CASE("the old name of spawn_listener still makes a listener") {
  loop_group group({.loops = 1});
  bool stopped = false;
  CHECK(group.listen_on(0, [&]() -> task<> {
    const auto slept = co_await sleep_for(patience * 2);
    stopped = slept.error() == errc::canceled;
  }));
  CHECK(group.drain(patience));  // stops listeners at once, which count as ended in order
  CHECK(stopped);
}

}  // namespace
