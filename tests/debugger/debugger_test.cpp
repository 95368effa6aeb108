// The gdb script: it shows the tasks of a process whose loop hangs, and those of its core.
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "support/case/eventually.hpp"
#include "support/process/program.hpp"

namespace {

using uring6::test::eventually;
using uring6::test::program;
using uring6::test::program_end;
using uring6::test::run_program;

std::string read_file(const std::string& name) {
  std::ifstream file(name);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

program_end gdb(std::vector<std::string> words) {
  std::vector<std::string> all = {"/usr/bin/env", "gdb", "--batch", "--nx", "-iex", "set debuginfod enabled off"};
  all.insert(all.end(), words.begin(), words.end());
  return run_program(all);
}

/// Why gdb cannot be tried here; empty if it can.
std::string why_not() {
  if (std::system("command -v gdb >/dev/null 2>&1") != 0) return "gdb is not installed";
  if (gdb({"-ex", "python print('works')"}).output.find("works") == std::string::npos) return "gdb has no Python";
  return {};
}

const std::string source = "source " SCRIPT;

/// A file that ends with the test.
struct scratch {
  explicit scratch(std::string end) : name("/tmp/uring6-debugger-" + std::to_string(::getpid()) + end) {}
  scratch(const scratch&) = delete;
  scratch& operator=(const scratch&) = delete;
  ~scratch() { std::filesystem::remove(name); }
  std::string name;
};

void check_tree(const std::string& shown) {
  INFO(shown);
  const auto has = [&](std::string_view what) { return shown.find(what) != std::string::npos; };
  CHECK(has("  run hanging.cpp:"));
  CHECK(has(": waits for scope::join\n"));
  CHECK(has("    scope hanging.cpp:"));
  CHECK(has(": waits for read_from, fd "));
  CHECK(has(": waits for with_timeout\n"));
  CHECK(has("      with_timeout: waits for read_from, fd "));
  CHECK(has(": runs\n"));
  CHECK(has("in serve at hanging.cpp:"));
}

TEST_CASE("gdb shows the tasks of a loop that hangs in the program's own code, and those of its core") {
  if (const std::string reason = why_not(); !reason.empty()) SKIP(reason);
  const scratch printed(".txt");
  const scratch core(".core");
  std::ofstream(printed.name).close();
  program hanging({HANGING}, {.output_file = printed.name});
  REQUIRE(eventually([&] { return read_file(printed.name) == "hangs\n"; }));
  const program_end live = gdb({"-p", std::to_string(hanging.id()), "-ex", source, "-ex", "uring6-tasks", "-ex",
                                "generate-core-file " + core.name});
  check_tree(live.output);
  REQUIRE(std::filesystem::exists(core.name));
  check_tree(gdb({HANGING, core.name, "-ex", source, "-ex", "uring6-tasks"}).output);
}

TEST_CASE("gdb says that there is nothing to show without a process, and without a loop") {
  if (const std::string reason = why_not(); !reason.empty()) SKIP(reason);
  CHECK(gdb({"-ex", source, "-ex", "uring6-tasks"}).errors.find("there is no process and no core") !=
        std::string::npos);
  const program_end before =
      gdb({HANGING, "-ex", source, "-ex", "break main", "-ex", "run", "-ex", "uring6-tasks", "-ex", "kill"});
  INFO(before.output << before.errors);
  CHECK(before.output.find("no thread runs a loop") != std::string::npos);
}

TEST_CASE("gdb loads the script by itself with the library") {
  if (const std::string reason = why_not(); !reason.empty()) SKIP(reason);
  const std::string folder = std::filesystem::path(LIBRARY).parent_path().string();
  CHECK(gdb({"-iex", "add-auto-load-safe-path " + folder, LIBRARY, "-ex", "uring6-tasks"})
            .errors.find("there is no process and no core") != std::string::npos);
}

}  // namespace
