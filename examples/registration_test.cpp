// The unit tests of registration.hpp. Their clock is simulated and their network is a memory_link, so days of leases,
// losses and outages take milliseconds, and each run is like the one before. The last test is with sockets of the
// kernel.
#include "registration.hpp"

#include <catch2/catch_test_macros.hpp>
#include <optional>
#include <uring6/memory_link.hpp>

namespace {

namespace u6 = uring6;
using namespace std::chrono_literals;

/// A server and a client on one link.
struct world {
  u6::event_loop loop{{.clock = u6::loop_clock::simulated}};
  u6::memory_link link{loop, {.delay = 10ms}};
  u6::memory_socket server = u6::or_throw(link.bind("[2001:db8::1]:4747"));
  u6::memory_socket client = u6::or_throw(link.bind("[2001:db8::2]:0"));
  u6::endpoint address = u6::or_throw(server.local_endpoint());
  registration::registry names;
  registration::status status;
  std::optional<std::error_code> ended;

  u6::task<> run_client() { ended = co_await registration::keep(client, address, "printer", status); }

  /// Runs server and client, and `meanwhile` beside them; when that has ended, stops both.
  template <class F>
  void run(F meanwhile) {
    const auto main = [&]() -> u6::task<> {
      u6::scope both;
      both.spawn(registration::serve(server, 1h, names));
      both.spawn(run_client());
      co_await meanwhile();
      both.request_stop();
      co_await both.join();
    };
    loop.run(main());
  }

  bool registered() const {
    const auto found = names.find("printer");
    return found != names.end() && found->second > loop.now();
  }
};

TEST_CASE("registration: the lease is renewed when half of it has passed, all day") {
  world of;
  of.run([&]() -> u6::task<> {
    co_await u6::sleep_for(1s);
    CHECK(of.status.answers == 1);
    for (int hour = 0; hour < 24; ++hour) {
      co_await u6::sleep_for(1h);
      CHECK(of.registered());
    }
  });
  CHECK(of.status.answers == 49);  // every 30 min and 20 ms, from the beginning on
  CHECK(of.status.questions == 49);
  CHECK(of.ended == u6::errc::canceled);
}

TEST_CASE("registration: a day without a server takes 105 questions, and it is found 15 min after its return at most") {
  world of;
  u6::or_throw(of.link.set_options({.loss = 1}));
  of.run([&]() -> u6::task<> {
    co_await u6::sleep_for(24h);
    CHECK(of.status.questions == 105);  // 10 within 1023 s, then one each 15 min
    CHECK(of.status.answers == 0);
    u6::or_throw(of.link.set_options({.delay = 10ms}));
    co_await u6::sleep_for(15min + 1s);
    CHECK(of.registered());
    CHECK(of.status.questions == 106);
  });
}

TEST_CASE("registration: a link that loses every fifth datagram ends no lease within a year") {
  world of;
  u6::or_throw(of.link.set_options({.delay = 10ms, .jitter = 90ms, .loss = 0.2, .duplication = 0.1, .seed = 7}));
  of.run([&]() -> u6::task<> {
    co_await u6::sleep_for(1h);
    for (int hour = 1; hour < 365 * 24; ++hour) {
      REQUIRE(of.registered());
      co_await u6::sleep_for(1h);
    }
  });
  CHECK(of.status.answers > 17'000);
  CHECK(of.status.questions > of.status.answers * 5 / 4);  // a question or its answer is lost
}

TEST_CASE("registration: answers of another sender, to another question, cut or malformed do not count") {
  world of;
  auto other = u6::or_throw(of.link.bind("[2001:db8::3]:4747"));
  u6::or_throw(of.server.close());
  of.server = u6::or_throw(of.link.bind("[2001:db8::1]:4747"));
  const auto main = [&]() -> u6::task<> {
    u6::scope tasks;
    tasks.spawn(of.run_client());
    std::array<std::byte, 512> buffer;
    const auto got = co_await of.server.read_from(buffer);
    REQUIRE(got);
    CHECK(registration::text(got->payload) == "register printer 1");
    const u6::endpoint client = got->source;
    (void)co_await other.write_to("ok 1 3600", client);
    const std::string cut = "ok 1 36" + std::string(600, '0');
    for (const std::string& answer : {std::string("ok 0 3600"), std::string("ok 1"), std::string("no 1 3600"),
                                      std::string("ok 1 0"), std::string("ok 1 18446744073709551615"), cut}) {
      (void)co_await of.server.write_to(answer, client);
    }
    co_await u6::sleep_for(100ms);
    CHECK(of.status.answers == 0);
    (void)co_await of.server.write_to("ok 1 3600", client);
    co_await u6::sleep_for(100ms);
    CHECK(of.status.answers == 1);
    tasks.request_stop();
    co_await tasks.join();
  };
  of.loop.run(main());
}

TEST_CASE("registration: questions that are none get no answer, and do not end the server") {
  world of;
  const auto main = [&]() -> u6::task<> {
    u6::scope tasks;
    tasks.spawn(registration::serve(of.server, 1h, of.names));
    for (const char* question :
         {"", "register", "register printer", "register printer x", "register  1", "ask printer 1"}) {
      (void)co_await of.client.write_to(question, of.address);
    }
    co_await u6::sleep_for(1s);
    CHECK(of.names.empty());
    (void)co_await of.client.write_to("register printer 1", of.address);
    co_await u6::sleep_for(1s);
    CHECK(of.registered());
    CHECK(of.link.stats().sent == 8);
    tasks.request_stop();
    co_await tasks.join();
  };
  of.loop.run(main());
}

TEST_CASE("registration: ends when its socket is closed") {
  world of;
  of.run([&]() -> u6::task<> {
    co_await u6::sleep_for(1s);
    u6::or_throw(of.client.close());
    co_await u6::sleep_for(1h);
    CHECK(of.ended == u6::errc::closed);
  });
}

TEST_CASE("registration: works with sockets of the kernel") {
  u6::event_loop loop;
  auto server = u6::or_throw(u6::listen_packet(loop, "udp6", "[::1]:0"));
  auto client = u6::or_throw(u6::listen_packet(loop, "udp6", "[::1]:0"));
  registration::registry names;
  registration::status status;
  std::error_code ended;
  const auto main = [&]() -> u6::task<> {
    u6::scope both;
    both.spawn(registration::serve(server, 1h, names));
    both.spawn(registration::keep(client, u6::or_throw(server.local_endpoint()), "printer", status),
               [&](std::error_code why) { ended = why; });
    while (status.answers == 0) co_await u6::sleep_for(1ms);
    both.request_stop();
    co_await both.join();
  };
  loop.run(main());
  CHECK(names.contains("printer"));
  CHECK(ended == u6::errc::canceled);
}

}  // namespace
