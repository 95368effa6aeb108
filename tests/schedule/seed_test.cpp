// The program of seeds: one seed is one run, bit for bit, and a seed that fails says how to run it again.
#include <sys/resource.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <set>
#include <string>
#include <vector>

#include "support/process/program.hpp"

namespace {

using namespace uring6::test;
using Catch::Matchers::ContainsSubstring;

program_end schedules(const std::vector<std::string>& options, const program_settings& settings = {}) {
  std::vector<std::string> words{URING6_SCHEDULES};
  words.insert(words.end(), options.begin(), options.end());
  return run_program(words, settings);
}

TEST_CASE("a seed is one run: two processes do the same, step by step, and other seeds do something else") {
  constexpr int seeds = 40;
  std::set<std::string> digests;
  for (int seed = 0; seed < seeds; ++seed) {
    const program_end first = schedules({"--seed", std::to_string(seed)});
    const program_end second = schedules({"--seed", std::to_string(seed)});
    INFO(first.errors);
    REQUIRE(first.exit_status == 0);
    CHECK_THAT(first.output, ContainsSubstring("digest"));
    CHECK(first.output == second.output);
    digests.insert(first.output.substr(first.output.find("digest")));
  }
  CHECK(digests.size() == seeds);
}

TEST_CASE("a seed that fails is named, with the command that runs it again") {
#if defined(__SANITIZE_ADDRESS__)
  SKIP("the sanitizers need descriptors themselves");
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(undefined_behavior_sanitizer)
  SKIP("the sanitizers need descriptors themselves");
#endif
#endif
  program_settings few_descriptors;
  few_descriptors.prepare = [] {
    const rlimit limit{4, 4};  // the loop's second descriptor is one too many
    ::setrlimit(RLIMIT_NOFILE, &limit);
  };
  const program_end one = schedules({"--seed", "6"}, few_descriptors);
  CHECK(one.exit_status == 1);
  CHECK_THAT(one.errors, ContainsSubstring("seed 6: ") && ContainsSubstring("/schedules --seed 6\n"));
  const program_end many = schedules({"--from", "400", "--seeds", "8", "--jobs", "2"}, few_descriptors);
  CHECK(many.exit_status == 1);
  CHECK_THAT(many.errors, ContainsSubstring("replay: ") && ContainsSubstring("/schedules --seed 40"));
}

TEST_CASE("a seed that does not end is ended, and its tasks say what they wait for") {
  const program_end hung = schedules({"--hang", "1"});
  CHECK(hung.exit_status == 1);
  CHECK_THAT(hung.errors, ContainsSubstring("does not end. These wait:\n  a task 7: what never comes\n"));
}

TEST_CASE("the program of seeds refuses what it does not know") {
  CHECK(schedules({"--seeds"}).exit_status == 2);
  CHECK(schedules({"--seeds", "many"}).exit_status == 2);
  CHECK(schedules({"--jobs", "0"}).exit_status == 2);
  const program_end unknown = schedules({"--seedlings", "4"});
  CHECK(unknown.exit_status == 2);
  CHECK_THAT(unknown.errors, ContainsSubstring("usage: schedules"));
}

}  // namespace
