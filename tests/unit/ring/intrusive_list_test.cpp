#include "uring6/detail/intrusive_list.hpp"

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <vector>

#include "support/process/last_words.hpp"

namespace {

using namespace uring6::detail;

struct number : list_hook {
  int value = 0;
};
using numbers = intrusive_list<number>;

/// Ten elements, some of them in lists.
struct some_numbers {
  some_numbers() {
    for (int i = 0; i < 10; ++i) all[static_cast<std::size_t>(i)].value = i;
  }
  void put(numbers& into, int from, int to) {
    for (int i = from; i < to; ++i) into.push_back(all[static_cast<std::size_t>(i)]);
  }

  std::array<number, 10> all;
};

/// The values in forward order; checks that the links back agree.
std::vector<int> values_of(numbers& list) {
  std::vector<int> values;
  list.for_each([&](const number& each) { values.push_back(each.value); });
  for (const list_hook* at = list.first(); !list.is_end(at); at = at->next) CHECK(at->next->prev == at);
  return values;
}

TEST_CASE("a list takes all elements of another one, to its back or its front, in their order") {
  some_numbers of;
  numbers one, two;
  of.put(one, 0, 2);
  of.put(two, 2, 5);
  one.splice_back(two);
  CHECK(two.empty());
  CHECK(values_of(one) == std::vector{0, 1, 2, 3, 4});

  of.put(two, 5, 7);
  one.splice_front(two);
  CHECK(two.empty());
  CHECK(values_of(one) == std::vector{5, 6, 0, 1, 2, 3, 4});

  one.splice_back(two);
  one.splice_front(two);
  CHECK(values_of(one) == std::vector{5, 6, 0, 1, 2, 3, 4});
  two.splice_front(one);
  CHECK(one.empty());
  CHECK(values_of(two).size() == 7);
}

TEST_CASE("a list takes the elements of another one that are in front of a given one") {
  some_numbers of;
  numbers one, two;
  of.put(one, 0, 2);
  of.put(two, 2, 6);
  one.splice_back(two, of.all[4]);
  CHECK(values_of(one) == std::vector{0, 1, 2, 3});
  CHECK(values_of(two) == std::vector{4, 5});
  one.splice_back(two, of.all[4]);  // no element
  CHECK(values_of(one) == std::vector{0, 1, 2, 3});
  CHECK(values_of(two) == std::vector{4, 5});
}

TEST_CASE("a list releases the elements in front of a given one, which may join another list") {
  some_numbers of;
  numbers one, two;
  of.put(one, 0, 6);
  one.cut_front(of.all[4]);
  CHECK(values_of(one) == std::vector{4, 5});
  of.put(two, 0, 4);
  CHECK(values_of(two) == std::vector{0, 1, 2, 3});
  one.cut_front(of.all[4]);  // no element
  CHECK(values_of(one) == std::vector{4, 5});
  two.cut_front(*of.all[3].next);  // all elements
  CHECK(two.empty());
  of.put(two, 2, 4);
  CHECK(values_of(two) == std::vector{2, 3});
}

TEST_CASE("a list that is destroyed leaves its elements unlinked") {
  some_numbers of;
  {
    numbers list;
    of.put(list, 0, 10);
    CHECK(of.all[9].linked());
  }
  for (const number& each : of.all) CHECK_FALSE(each.linked());
}

#ifndef NDEBUG
TEST_CASE("an element that is in a list and is put into another one ends a program with assertions, and is named") {
  const std::string words = uring6::test::last_words([] {
    some_numbers of;
    numbers one, two;
    one.push_back(of.all[0]);
    two.push_back(of.all[0]);
  });
  CHECK_THAT(words, Catch::Matchers::ContainsSubstring("the element is in a list already"));
}

TEST_CASE("elements that were cut off can be put into a list again") {
  some_numbers of;
  numbers one, two;
  of.put(one, 0, 5);
  one.cut_front(of.all[3]);
  of.put(two, 0, 3);
  CHECK(values_of(one) == std::vector{3, 4});
  CHECK(values_of(two) == std::vector{0, 1, 2});
}
#endif

}  // namespace
