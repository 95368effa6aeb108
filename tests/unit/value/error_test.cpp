#include "uring6/error.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <cerrno>
#include <iterator>
#include <set>
#include <string>
#include <system_error>

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
    {errc::not_an_address, std::errc::invalid_argument},
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
    {errc::path_mtu_event, std::errc::message_size},
    {errc::fell_behind, std::errc::no_buffer_space},
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

std::error_code of_kernel(int error_number) {
  return {error_number, std::system_category()};
}

TEST_CASE("is_transient_holds_for_what_a_conn_or_listener_survives") {
  const int number =
      GENERATE(ECONNREFUSED, EHOSTUNREACH, ENETUNREACH, EHOSTDOWN, ENETDOWN, EACCES, EPROTO, EMSGSIZE, ENOPROTOOPT,
               ENONET, EOPNOTSUPP, ENOBUFS, ENOMEM, EMFILE, ENFILE, EAGAIN, EINTR, ECONNABORTED, EPERM);
  CAPTURE(number);
  CHECK(is_transient(of_kernel(number)));
  CHECK(is_transient({number, std::generic_category()}));
}

TEST_CASE("is_transient_does_not_hold_for_what_stays") {
  const int number =
      GENERATE(0, EBADF, EINVAL, ENOTSOCK, ENOTCONN, EPIPE, ECONNRESET, EFAULT, ECANCELED, ETIMEDOUT, ENODEV);
  CAPTURE(number);
  CHECK_FALSE(is_transient(of_kernel(number)));
}

TEST_CASE("is_transient_holds_for_no_condition_of_uring6_but_news") {
  for (const condition_case& each : conditions) {
    CAPTURE(std::error_code(each.own).message());
    CHECK(is_transient(each.own) == (each.own == errc::path_mtu_event));
  }
}

}  // namespace
}  // namespace uring6
