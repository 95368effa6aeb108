// A result's values, errors and conversions. tests/consumer/expected.sh has std::expected and tl::expected.
#include "uring6/result.hpp"

#include <any>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include "uring6/datagram.hpp"

namespace uring6 {
namespace {

// GCC 12 mishandles results in co_await expressions that are not trivially destructible, and copying a datagram member
// by member is measurable.
static_assert(std::is_trivially_destructible_v<result<void>> && std::is_trivially_destructible_v<result<datagram>>);
static_assert(std::is_trivially_copyable_v<result<int>> && std::is_trivially_copyable_v<result<void>>);
static_assert(!std::is_trivially_copyable_v<result<std::string>> && std::is_copy_constructible_v<result<std::string>>);
static_assert(!std::is_copy_constructible_v<result<std::unique_ptr<int>>> &&
              std::is_nothrow_move_constructible_v<result<std::unique_ptr<int>>>);
static_assert(std::is_convertible_v<const char*, result<std::string>>);
static_assert(!std::is_convertible_v<std::size_t, result<std::vector<int>>> &&
              std::is_constructible_v<result<std::vector<int>>, std::size_t>);
static_assert(!std::is_convertible_v<result<int>, bool> && std::is_constructible_v<bool, result<int>>);
static_assert(!std::is_constructible_v<result<int>, std::error_code>);  // an error is said with fail()
static_assert(std::is_constructible_v<result<std::any>, int> && std::is_copy_constructible_v<result<std::any>>);

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

/// Counts its objects. Throws from its copy when `throws` is set.
struct counted {
  static inline int alive = 0;
  static inline bool throws = false;

  explicit counted(int number_) : number(number_) { ++alive; }
  counted(const counted& from) : number(from.number) {
    if (throws) throw std::runtime_error("no copy");
    ++alive;
  }
  counted& operator=(const counted& from) {
    if (throws) throw std::runtime_error("no copy");
    number = from.number;
    return *this;
  }
  ~counted() { --alive; }

  int number;
};

// An exception of the copy comes out of a droppable result, too.
static_assert(!std::is_nothrow_constructible_v<droppable_result<counted>, result<counted>> &&
              std::is_nothrow_constructible_v<droppable_result<void>, result<void>>);

TEST_CASE("result: assignment goes from any state to any other, and destroys what there was") {
  for (const bool from_value : {false, true}) {
    for (const bool to_value : {false, true}) {
      CAPTURE(from_value, to_value);
      {
        result<counted> target = from_value ? result<counted>(counted(1)) : fail(errc::closed);
        const result<counted> source = to_value ? result<counted>(counted(2)) : fail(errc::canceled);
        target = source;
        REQUIRE(target.has_value() == to_value);
        if (to_value) CHECK(target->number == 2);
        if (!to_value) CHECK(target.error() == errc::canceled);
        CHECK(counted::alive == 2 * to_value);
        target = result<counted>(counted(3));
        REQUIRE(target.has_value());
        CHECK(target->number == 3);
      }
      CHECK(counted::alive == 0);
    }
  }
}

TEST_CASE("result: a value that cannot be copied leaves the error in place") {
  {
    result<counted> target = fail(errc::closed);
    const result<counted> source(counted(2));
    counted::throws = true;
    CHECK_THROWS_AS(target = source, std::runtime_error);
    REQUIRE_FALSE(target.has_value());
    CHECK(target.error() == errc::closed);
    CHECK_THROWS_AS(target.emplace(*source), std::runtime_error);
    CHECK(target.error() == errc::closed);
    counted::throws = false;
    target.emplace(5);
    CHECK(target->number == 5);
    counted::throws = true;
    CHECK_THROWS_AS(target.emplace(*source), std::runtime_error);
    CHECK(target.error() == std::errc::operation_canceled);
    counted::throws = false;
  }
  CHECK(counted::alive == 0);
}

TEST_CASE("result: value throws the error as std::system_error") {
  result<std::string> text("text");
  CHECK(text.value() == "text");
  CHECK(std::move(text).value() == "text");
  try {
    (void)result<std::string>(fail(errc::not_joined)).value();
    FAIL("it returned");
  } catch (const std::system_error& thrown) {
    CHECK(thrown.code() == errc::not_joined);
  }
  CHECK_NOTHROW(result<void>().value());
  CHECK_THROWS_AS(result<void>(fail(errc::closed)).value(), std::system_error);
}

TEST_CASE("result: value_or and error_or stand in for what there is not") {
  const result<int> seven(7);
  const result<int> none = fail(errc::closed);
  CHECK(seven.value_or(1) == 7);
  CHECK(none.value_or(1) == 1);
  CHECK(none.error_or({}) == errc::closed);
  CHECK(seven.error_or({}) == std::error_code());
  CHECK(result<std::unique_ptr<int>>(fail(errc::closed)).value_or(nullptr) == nullptr);
  CHECK(result<void>(fail(errc::closed)).error_or({}) == errc::closed);
}

TEST_CASE("result: functions are called with a value, or an error, alone") {
  const auto half = [](int number) -> result<int> {
    if (number % 2 != 0) return fail(errc::out_of_range);
    return number / 2;
  };
  const result<int> eight(8);
  CHECK(eight.and_then(half) == 4);
  CHECK(eight.and_then(half).and_then(half).and_then(half).and_then(half) == fail(errc::out_of_range));
  CHECK(eight.transform([](int number) { return std::to_string(number); }) == "8");
  CHECK(result<int>(fail(errc::closed)).transform([](int) { return 1; }) == fail(errc::closed));
  CHECK(result<int>(fail(errc::closed)).or_else([](std::error_code) { return result<int>(3); }) == 3);
  CHECK(eight.or_else([](std::error_code) { return result<int>(3); }) == 8);
  const auto worse = [](std::error_code) { return make_error_code(errc::canceled); };
  CHECK(result<int>(fail(errc::closed)).transform_error(worse) == fail(errc::canceled));
  CHECK(eight.transform_error(worse) == 8);

  int calls = 0;
  CHECK(eight.transform([&](int) { ++calls; }).has_value());
  CHECK(result<void>().transform([&] { return ++calls; }) == 2);
  CHECK(result<void>(fail(errc::closed)).and_then([&] { return result<int>(++calls); }) == fail(errc::closed));
  CHECK(result<void>().and_then([&] { return result<int>(++calls); }) == 3);
  CHECK(result<void>(fail(errc::closed)).or_else([](std::error_code) { return result<void>(); }).has_value());
  CHECK(result<void>(fail(errc::closed)).transform_error(worse) == fail(errc::canceled));
}

TEST_CASE("result: a value that can only be moved goes through functions") {
  result<std::unique_ptr<int>> given(std::make_unique<int>(7));
  const auto taken = std::move(given).and_then([](std::unique_ptr<int> it) { return result<int>(*it); });
  CHECK(taken == 7);
  result<std::unique_ptr<int>> other(std::make_unique<int>(8));
  CHECK(std::move(other).transform([](std::unique_ptr<int> it) { return *it; }) == 8);
}

TEST_CASE("result: a result of another type converts as its value does") {
  const result<std::string> text = result<const char*>("text");
  CHECK(text == "text");
  const result<std::string> error = result<const char*>(fail(errc::closed));
  CHECK(error == fail(errc::closed));
  CHECK(text != error);
  CHECK(text == result<std::string>("text"));
  CHECK(result<void>() == result<void>());
  CHECK(result<void>() != result<void>(fail(errc::closed)));
}

TEST_CASE("result: a result that may be dropped is a result") {
  const droppable_result<void> closed = fail(errc::closed);
  const result<void> same = closed;
  CHECK(same == fail(errc::closed));
  const droppable_result<int> number = result<int>(3);
  CHECK(*number == 3);
  CHECK_THROWS_AS(or_throw(closed), std::system_error);
  const auto close = [&] { return closed; };
  CHECK(result<void>().and_then(close) == fail(errc::closed));
  // A bool is the other result's value, and not its has_value().
  CHECK(result<bool>(droppable_result<int>(fail(errc::closed))) == fail(errc::closed));
  CHECK(result<bool>(droppable_result<int>(0)) == false);
  CHECK(number.and_then([&](int) { return closed; }) == fail(errc::closed));
}

}  // namespace
}  // namespace uring6
