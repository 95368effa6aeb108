// The zone of the name servers: what is asked, and octets that are no question. The harness's own idea of the answers.
#include "common/dns.hpp"

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <string>
#include <string_view>

#include "harness/peers/exchange.hpp"

using namespace bench;
using namespace std::string_view_literals;

namespace {

/// The header of a query with one question and the id 7, and RD.
constexpr std::string_view head = "\0\7\1\0\0\1\0\0\0\0\0\0"sv;
constexpr std::string_view of_a = "\0\1\0\1"sv;

std::string answer(std::string_view query) {
  static const dns::zone zone;
  std::array<std::byte, dns::largest_answer> room;
  const auto size = zone.answer(std::as_bytes(std::span(query)), room);
  return {reinterpret_cast<const char*>(room.data()), size};
}

std::string ask(std::string_view name, std::string_view type_and_class = of_a) {
  return answer(std::string(head) + std::string(name) + std::string(type_and_class));
}

unsigned rcode(std::string_view said) {
  return said[3] & 0xf;
}

bool authoritative(std::string_view said) {
  return (said[2] & 4) != 0;
}

}  // namespace

TEST_CASE("a_host_is_found_in_either_case_and_its_question_comes_back_as_it_was_asked") {
  const std::string said = ask("\3H42\5bEnch\4TEST\0"sv);
  CHECK(said == std::string("\0\7\205\0\0\1\0\1\0\0\0\0"sv) + std::string("\3H42\5bEnch\4TEST\0\0\1\0\1"sv) +
                    std::string("\300\14\0\1\0\1\0\0\16\20\0\4\306\22\0\52"sv));
}

TEST_CASE("a_host_has_no_data_of_other_types_and_no_other_name_exists") {
  const std::string no_data = ask("\2h1\5bench\4test\0"sv, "\0\20\0\1"sv);
  CHECK(rcode(no_data) == 0);
  CHECK(no_data.substr(4, 8) == "\0\1\0\0\0\1\0\0"sv);
  CHECK(rcode(ask("\5bench\4test\0"sv)) == 0);
  CHECK(rcode(ask("\3h01\5bench\4test\0"sv)) == 3);
  CHECK(rcode(ask("\6h10000\5bench\4test\0"sv)) == 3);
  CHECK(authoritative(ask("\6h10000\5bench\4test\0"sv)));
}

TEST_CASE("other_zones_and_classes_are_refused") {
  for (const auto name : {"\0"sv, "\4test\0"sv, "\2h1\4test\0"sv, "\15h1\5bench\4test\0"sv, "\2h1\6bench2\4test\0"sv}) {
    CHECK(rcode(ask(name)) == 5);
    CHECK_FALSE(authoritative(ask(name)));
  }
  CHECK(rcode(ask("\2h1\5bench\4test\0"sv, "\0\1\0\3"sv)) == 5);
}

TEST_CASE("octets_that_are_no_query_get_an_error_or_nothing") {
  const std::string query = std::string(head) + std::string("\2h1\5bench\4test\0"sv) + std::string(of_a);
  for (std::size_t cut = 0; cut < query.size(); ++cut) {
    // Memory of its own, so that a sanitizer sees a read beyond it.
    const std::vector<char> octets(query.begin(), query.begin() + static_cast<std::ptrdiff_t>(cut));
    const std::string said = answer({octets.data(), octets.size()});
    if (cut < head.size())
      CHECK(said.empty());
    else
      CHECK((said.size() == head.size() && rcode(said) == 1));
  }
  CHECK(rcode(ask("\300\14"sv)) == 1);  // a question needs no pointer
  CHECK(rcode(ask(std::string(300, '\1'))) == 1);
  std::string longest;
  for (int i = 0; i < 4; ++i) longest += '\77' + std::string(63, 'x');
  CHECK(rcode(ask(longest + '\0')) == 1);  // 257 octets
  std::string response = query, status = query, two = query;
  response[2] = '\200';
  CHECK(answer(response).empty());
  status[2] = '\20';
  CHECK(rcode(answer(status)) == 4);
  two[5] = '\2';
  CHECK(rcode(answer(two)) == 1);
}

TEST_CASE("the_longest_name_of_the_zone_leaves_room_for_its_answer") {
  std::string name;
  for (const int length : {63, 63, 63, 50})
    name += static_cast<char>(length) + std::string(static_cast<std::size_t>(length), 'x');
  name += "\5bench\4test\0"sv;
  REQUIRE(name.size() == 255);
  const std::string said = ask(name);
  CHECK(rcode(said) == 3);
  CHECK(said.size() == dns::largest_answer);
}

TEST_CASE("the_harness_expects_each_octet_of_the_answer_to_its_question") {
  const auto queries = dns_exchange();
  const dns::zone zone;
  std::array<std::byte, 2048> room;
  std::array<std::byte, dns::largest_answer> said;
  for (std::uint64_t number = 0; number < 70'000; number += 31) {
    const std::size_t asked = queries->ask(room, number);
    const auto made = std::span(said).first(zone.answer(std::span(room).first(asked), said));
    REQUIRE(queries->is_answer(made, number));
    REQUIRE_FALSE(queries->is_answer(made, number + 1));
    REQUIRE_FALSE(queries->is_answer(made.first(made.size() - 1), number));
    made[number % made.size()] ^= std::byte{1};
    REQUIRE_FALSE(queries->is_answer(made, number));
  }
}
