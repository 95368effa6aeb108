#include "uring6/result.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <memory>
#include <set>
#include <string>
#include <utility>

namespace uring6 {
namespace {

struct condition_case {
  errc own;
  std::errc nearest;
};

constexpr condition_case conditions[] = {
    {errc::deadline_exceeded, std::errc::timed_out},
    {errc::closed, std::errc::bad_file_descriptor},
    {errc::canceled, std::errc::operation_canceled},
    {errc::unknown_network, std::errc::protocol_not_supported},
    {errc::bad_address, std::errc::invalid_argument},
    {errc::missing_port, std::errc::invalid_argument},
    {errc::unknown_zone, std::errc::no_such_device},
    {errc::not_multicast, std::errc::invalid_argument},
    {errc::already_joined, std::errc::address_in_use},
    {errc::not_joined, std::errc::address_not_available},
    {errc::out_of_range, std::errc::invalid_argument},
    {errc::too_long, std::errc::message_size},
    {errc::wrong_thread, std::errc::operation_not_permitted},
    {errc::forked, std::errc::operation_not_permitted},
    {errc::malformed, std::errc::bad_message},
    {errc::zone_mismatch, std::errc::invalid_argument},
    {errc::needless_zone, std::errc::invalid_argument},
    {errc::bound_to_group, std::errc::invalid_argument},
    {errc::ipv4_address, std::errc::invalid_argument},
    {errc::no_ipv6, std::errc::address_family_not_supported},
};

TEST_CASE("each_condition_equals_its_nearest_errc_and_no_other_condition") {
  for (const condition_case& tested : conditions) {
    const std::error_code code = tested.own;
    CAPTURE(code.message());
    CHECK(code == tested.nearest);
    CHECK(code != std::errc::not_enough_memory);
    for (const condition_case& other : conditions) {
      CHECK((code == std::error_code(other.own)) == (tested.own == other.own));
    }
  }
}

TEST_CASE("each_condition_has_a_sentence_of_its_own") {
  std::set<std::string> messages;
  for (const condition_case& tested : conditions) messages.insert(std::error_code(tested.own).message());
  CHECK(messages.size() == std::size(conditions));
  CHECK_FALSE(messages.contains("unknown uring6 error"));
}

TEST_CASE("the_table_covers_every_condition") {
  // One past the last condition: this fails for a condition that is missing here.
  const std::error_code beyond(static_cast<int>(std::size(conditions)) + 1, error_category());
  CHECK(beyond.message() == "unknown uring6 error");
}

TEST_CASE("a_number_that_is_no_condition_is_harmless") {
  const int number = GENERATE(0, -1, 1000, -2147483647 - 1, 2147483647);
  const std::error_code code(number, error_category());
  CHECK(code.message() == "unknown uring6 error");
  CHECK(code != std::errc::timed_out);
  CHECK(code.default_error_condition().category() == error_category());
}

TEST_CASE("an_error_names_its_category") {
  CHECK(std::error_code(errc::closed).category() == error_category());
  CHECK(std::string(error_category().name()) == "uring6");
}

TEST_CASE("fail_carries_any_kind_of_error") {
  CHECK(result<int>(fail(errc::closed)).error() == errc::closed);
  CHECK(result<int>(fail(std::errc::invalid_argument)).error() == std::errc::invalid_argument);
  CHECK(result<int>(fail(std::error_code(errc::canceled))).error() == errc::canceled);
  const result<int> by_number = fail_errno(ENODEV);
  CHECK(by_number.error() == std::error_code(ENODEV, std::system_category()));
  CHECK(by_number.error() == std::errc::no_such_device);
}

TEST_CASE("or_throw_gives_the_value_or_throws_the_error") {
  CHECK(or_throw(result<int>(7)) == 7);
  CHECK_NOTHROW(or_throw(result<void>()));
  try {
    or_throw(result<int>(fail(errc::not_joined)));
    FAIL("it returned");
  } catch (const std::system_error& thrown) {
    CHECK(thrown.code() == errc::not_joined);
    CHECK(std::string(thrown.what()) == "the group is not joined on this interface");
  }
  CHECK_THROWS_AS(or_throw(result<void>(fail_errno(EPERM))), std::system_error);
}

TEST_CASE("or_throw_leaves_a_result_that_is_kept_and_empties_one_that_is_given") {
  result<std::string> kept("a value that is too long to lie in the string itself");
  const std::string value = or_throw(kept);
  CHECK(*kept == value);
  CHECK_THROWS_AS(or_throw(std::as_const(*std::make_unique<result<int>>(fail(errc::closed)))), std::system_error);

  result<std::unique_ptr<int>> given(std::make_unique<int>(7));
  CHECK(*or_throw(std::move(given)) == 7);
  CHECK(given->get() == nullptr);
}

}  // namespace
}  // namespace uring6
