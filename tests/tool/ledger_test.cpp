// The ledger of the demo: the entries that make it report that not everything arrived as sent.
#include "demo/ledger.hpp"

#include <catch2/catch_test_macros.hpp>

namespace {

using namespace uring6;
using namespace uring6::tool;

sighting some() {
  return {.source = {ip_address::loopback(), 7},
          .destination = ip_address::loopback(),
          .interface_index = 1,
          .hop_limit = 64,
          .traffic_class = 0x28,
          .length = 64};
}

/// One sample and a burst of three, all of which arrived as sent.
ledger good() {
  ledger book;
  book.samples.push_back({.expected = some(), .sent = true});
  book.samples[0].enter(some(), {});
  book.burst.wanted = 3;
  book.burst.sent = 3;
  book.burst.expected = some();
  for (std::uint32_t i = 0; i < 3; ++i) book.burst.enter(i, some());
  return book;
}

TEST_CASE("ledger: a run is good if each datagram arrived once, as sent") {
  const ledger book = good();
  CHECK(book.all_as_sent());
  CHECK(book.sent() == 4);
  CHECK(book.received() == 4);
  CHECK(book.lost() == 0);
}

TEST_CASE("ledger: each control field that differs is named and makes the run fail") {
  struct difference {
    void (*make)(sighting&);
    const char* name;
  };
  for (const auto& [make, name] : {
           difference{[](sighting& s) { s.source.port = 8; }, "source [::1]:8 instead of [::1]:7"},
           difference{[](sighting& s) { s.destination = ip_address::any(); }, "destination :: instead of ::1"},
           difference{[](sighting& s) { s.interface_index = 2; }, "interface 2 instead of 1"},
           difference{[](sighting& s) { s.hop_limit = -1; }, "hop limit -1 instead of 64"},
           difference{[](sighting& s) { s.traffic_class = 0x29; }, "traffic class 41 instead of 40"},
           difference{[](sighting& s) { s.length = 63; }, "length 63 instead of 64"},
       }) {
    sighting other = some();
    make(other);
    CHECK(differences(other, some()) == name);

    ledger sample_differs = good();
    sample_differs.samples[0].seen = other;
    CHECK_FALSE(sample_differs.all_as_sent());

    ledger burst_differs = good();
    burst_differs.burst = {.wanted = 1, .expected = some(), .sent = 1};
    burst_differs.burst.enter(0, other);
    CHECK_FALSE(burst_differs.all_as_sent());
    CHECK(burst_differs.burst.altered == 1);
    CHECK(burst_differs.burst.first_difference == name);
  }
}

TEST_CASE("ledger: a datagram that is missing, came twice, was not sent or failed makes the run fail") {
  ledger missing = good();
  missing.samples[0].seen.reset();
  CHECK_FALSE(missing.all_as_sent());
  CHECK(missing.lost() == 1);

  ledger short_burst = good();
  short_burst.burst.wanted = short_burst.burst.sent = 5;
  CHECK_FALSE(short_burst.all_as_sent());
  CHECK(short_burst.lost() == 2);
  short_burst.server_counters.kernel_drops = 1;
  CHECK(short_burst.lost_by_kernel() == 1);
  CHECK(short_burst.lost_unexplained() == 1);
  short_burst.server_counters.kernel_drops = 9;  // datagrams of other senders, too
  CHECK(short_burst.lost_by_kernel() == 2);

  ledger short_train = good();
  short_train.burst.wanted = short_train.burst.sent = 130;
  short_train.burst.longest_train = 64;
  short_train.server_counters.kernel_drops = 1;
  CHECK(short_train.lost_by_kernel() == 64);
  CHECK(short_train.lost_unexplained() == 63);

  ledger sample_twice = good();
  sample_twice.samples[0].enter(some(), {});
  CHECK(sample_twice.samples[0].duplicates == 1);
  CHECK(sample_twice.samples[0].wrong() == "arrived 2 times");
  CHECK_FALSE(sample_twice.all_as_sent());
  CHECK(sample_twice.received() == 4);

  ledger twice = good();
  twice.burst.enter(1, some());
  CHECK(twice.burst.duplicates == 1);
  CHECK_FALSE(twice.all_as_sent());

  ledger beyond = good();
  beyond.burst.enter(3, some());
  CHECK(beyond.burst.altered == 1);
  CHECK_FALSE(beyond.all_as_sent());

  ledger unsent = good();
  ++unsent.not_sent["Network is unreachable"];
  CHECK_FALSE(unsent.all_as_sent());

  ledger failed = good();
  failed.failures.emplace_back("something");
  CHECK_FALSE(failed.all_as_sent());
}

TEST_CASE("ledger: datagrams that arrive out of order are counted, and are no loss") {
  ledger book = good();
  book.burst = {.wanted = 3, .expected = some(), .sent = 3};
  for (const std::uint32_t sequence : {1U, 0U, 2U}) book.burst.enter(sequence, some());
  CHECK(book.burst.out_of_order == 1);
  CHECK(book.all_as_sent());
}

}  // namespace
