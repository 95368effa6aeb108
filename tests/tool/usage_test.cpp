// Common to all subcommands: usage, help, exit status, and a standard output that refuses writes.
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <string>
#include <vector>

#include "tool/command.hpp"

namespace {

using namespace uring6::test;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::StartsWith;
using words = std::vector<std::string>;

std::string joined(const words& arguments) {
  std::string text;
  for (const std::string& each : arguments) text += each + " ";
  return text;
}

struct mistake {
  words arguments;
  const char* said;
};

TEST_CASE("uring6: wrong usage ends with 2 and one line with the mistake") {
  for (const auto& [arguments, said] : {
           mistake{{}, "which subcommand"},
           mistake{{"nonesuch"}, "nonesuch"},
           mistake{{""}, "not expected"},
           mistake{{"--nonesuch"}, "--nonesuch"},
           mistake{{"demo", "--nonesuch"}, "--nonesuch"},
           mistake{{"demo", "more"}, "more"},
           mistake{{"demo", "--count"}, "--count"},
           mistake{{"demo", "--count", "many"}, "many"},
           mistake{{"demo", "--count", "-1"}, "-1"},
           mistake{{"demo", "--count", "100000001"}, "100000001"},
           mistake{{"demo", "--length", "23"}, "24"},
           mistake{{"demo", "--length", "65528"}, "65527"},
           mistake{{"demo", "--interface", "no such interface"}, "there is no interface no such interface"},
           mistake{{"demo", "--interface", "4294967295"}, "there is no interface 4294967295"},
           mistake{{"demo", "--interface", "99999999999999999999"}, "there is no interface"},
           mistake{{"probe", "--count", "1"}, "--count"},
           mistake{{"probe", "demo"}, "demo"},
       }) {
    CAPTURE(joined(arguments));
    const program_end end = uring6_command(arguments);
    CHECK(end.exit_status == 2);
    CHECK(end.output.empty());
    CHECK_THAT(end.errors, StartsWith("uring6"));
    CHECK_THAT(end.errors, ContainsSubstring(said));
    CHECK(is_one_line(end.errors));
  }
}

TEST_CASE("uring6: with --json a mistake is reported as JSON") {
  for (const words& arguments : {words{"demo", "--json", "--nonesuch"}, words{"demo", "--count", "x", "--json"},
                                 words{"demo", "--json", "--interface", "none"}, words{"nonesuch", "--json"}}) {
    CAPTURE(joined(arguments));
    const program_end end = uring6_command(arguments);
    CHECK(end.exit_status == 2);
    CHECK(end.errors.empty());
    const auto said = as_json(end.output);
    CHECK(said.at("schema") == 1);
    CHECK(said.at("uring6") == URING6_COMMAND_VERSION);
    CHECK(said.at("error").at("kind") == "usage");
    CHECK(said.at("error").at("exit_status") == 2);
    CHECK_FALSE(said.at("error").at("message").get<std::string>().empty());
    if (arguments.front() == "demo") {
      CHECK(said.at("command") == "demo");
    } else {
      CHECK(said.at("command").is_null());
    }
  }
}

TEST_CASE("uring6: help lists the subcommands, their options, and the exit status") {
  struct topic {
    words arguments;
    words told;
  };
  for (const auto& [arguments, told] : {
           topic{{"--help"}, {"demo", "probe", "--version", "Exit status"}},
           topic{{"-h"}, {"demo", "probe"}},
           topic{{"demo", "--help"}, {"--json", "--count", "--length", "--interface", "Exit status", "Example"}},
           topic{{"probe", "--help"}, {"--json", "Exit status", "Example"}},
           topic{{"demo", "--json", "--help"}, {"--count"}},
       }) {
    CAPTURE(joined(arguments));
    const program_end end = uring6_command(arguments);
    CHECK(end.exit_status == 0);
    CHECK(end.errors.empty());
    for (const std::string& each : told) CHECK_THAT(end.output, ContainsSubstring(each));
  }
}

TEST_CASE("uring6: --version is the project's version; with --verbose those of its parts, too") {
  const program_end end = uring6_command({"--version"});
  CHECK(end.exit_status == 0);
  CHECK(end.output == "uring6 " URING6_COMMAND_VERSION "\n");
  const program_end more = uring6_command({"--version", "--verbose"});
  CHECK(more.exit_status == 0);
  for (const char* part :
       {"uring6 " URING6_COMMAND_VERSION "\n", "\nkernel ", "\nliburing ", "\nfmt ", "\ncompiler "}) {
    CHECK_THAT(more.output, ContainsSubstring(part));
  }
}

TEST_CASE("uring6: output that cannot be written is an error, never success and never a crash") {
  const program_settings full{.output_file = "/dev/full"};
  const program_settings closed{.output_closed = true};
  for (const words& arguments :
       {words{"--help"}, words{"--version"}, words{"demo", "--help"}, words{"demo", "--count", "10"},
        words{"demo", "--count", "10", "--json"}, words{"probe"}, words{"probe", "--json"}}) {
    CAPTURE(joined(arguments));
    for (const program_settings* settings : {&full, &closed}) {
      const program_end end = uring6_command(arguments, *settings);
      CHECK(end.signal == 0);
      CHECK(end.exit_status == 4);
      CHECK_THAT(end.errors, ContainsSubstring("cannot write to standard output"));
      CHECK_THAT(end.errors, ContainsSubstring(settings == &full ? "No space left on device" : "Bad file descriptor"));
      CHECK(is_one_line(end.errors));
    }
  }
  // With JSON on a closed standard output the error is reported on standard error.
  const program_end end = uring6_command({"demo", "--json", "--nonesuch"}, closed);
  CHECK(end.exit_status == 2);
  CHECK_THAT(end.errors, ContainsSubstring("--nonesuch"));
}

}  // namespace
