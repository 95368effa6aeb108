// uring6: one command with several subcommands.
#include <fmt/format.h>
#include <sys/utsname.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>
#include <sstream>
#include <system_error>
#include <vector>

#include "build_info.hpp"
#include "command.hpp"

namespace uring6::tool {
namespace {

struct entry {
  const char* name;
  const char* about;
  const char* example;
  std::unique_ptr<command> (*make)();
};

constexpr entry entries[] = {
    {"demo",
     "A server and its clients in one event loop: datagrams over ::1 and to a multicast group, each with "
     "traffic class and hop limit of its own, then a burst. Says what was lost and why.",
     "uring6 demo --json --count 1000000", &make_demo},
    {"probe", "What this machine gives to uring6, what it refuses, why, and what to do about it.", "uring6 probe",
     &make_probe},
};

constexpr const char* statuses =
    "Exit status: 0 all is well; 1 it ran, and something did not arrive as sent; 2 wrong usage; 3 the\n"
    "machine lacks something (uring6 probe says what); 4 a system error.";

/// The options of the command line.
struct wishes {
  bool version = false;
  bool verbose = false;
  bool json = false;
};

void print_version(output& out, bool verbose) {
  out.line("uring6 {}", build_info::version);
  if (!verbose) return;
  utsname system{};
  ::uname(&system);
  out.line("kernel {}", system.release);
  out.line("liburing {}", build_info::liburing);
  out.line("fmt {}", build_info::fmt);
  out.line("compiler {}", build_info::compiler);
}

/// Reports errors: on standard error, or in JSON mode as the object in place of the result.
class complaint {
 public:
  complaint(bool json, std::string command) : json_(json), command_(std::move(command)) {}

  exit_status make(exit_status status, const std::string& message) const {
    if (json_) {
      try {
        output out(true);
        out.error(command_, status, message);
        out.flush();
        return status;
      } catch (const failure&) {
        // The error cannot be reported there.
      }
    }
    fmt::print(stderr, "uring6{}{}: {}\n", command_.empty() ? "" : " ", command_, message);
    return status;
  }

 private:
  bool json_;
  std::string command_;
};

exit_status run_tool(int argc, char** argv) {
  wishes wanted;
  CLI::App app{"IPv6 datagrams with their control messages over io_uring.", "uring6"};
  app.footer(std::string("Example:\n  uring6 demo\n\n") + statuses);
  app.require_subcommand(0, 1);
  app.add_flag("-V,--version", wanted.version, "Print the version and exit; with --verbose that of the parts, too");
  app.add_flag("--verbose", wanted.verbose, "More of it");

  std::vector<std::pair<CLI::App*, std::unique_ptr<command>>> commands;
  for (const entry& each : entries) {
    CLI::App* const parser = app.add_subcommand(each.name, each.about);
    parser->footer(fmt::format("Example:\n  {}\n\n{}", each.example, statuses));
    parser->add_flag("--json", wanted.json, "One JSON object instead of text");
    commands.emplace_back(parser, each.make());
    commands.back().second->add_options(*parser);
  }

  const auto chosen = [&commands] {
    return std::ranges::find_if(commands, [](const auto& each) { return each.first->parsed(); });
  };
  const auto complain = [&](exit_status status, const std::string& message) {
    // A command line that could not be parsed may still have asked for JSON.
    const bool json = wanted.json || std::find(argv, argv + argc, std::string_view("--json")) != argv + argc;
    const auto which = chosen();
    return complaint(json, which == commands.end() ? "" : which->first->get_name()).make(status, message);
  };

  try {
    app.parse(argc, argv);
    output out(wanted.json);
    exit_status status = exit_status::ok;
    if (const auto which = chosen(); which != commands.end()) {
      status = which->second->run(out);
    } else if (wanted.version) {
      print_version(out, wanted.verbose);
    } else {
      throw failure(exit_status::usage, "which subcommand? uring6 --help names them");
    }
    out.flush();
    return status;
  } catch (const CLI::CallForHelp& asked) {
    std::ostringstream text;
    app.exit(asked, text, text);
    try {
      output out(false);
      out.line("{}", text.view().substr(0, text.view().find_last_not_of('\n') + 1));
      out.flush();
      return exit_status::ok;
    } catch (const failure& failed) {
      return complain(failed.status(), failed.what());
    }
  } catch (const CLI::ParseError& wrong) {
    return complain(exit_status::usage, fmt::format("{} (see --help)", wrong.what()));
  } catch (const failure& failed) {
    return complain(failed.status(), failed.what());
  } catch (const std::exception& failed) {
    return complain(exit_status::system, failed.what());
  }
}

}  // namespace
}  // namespace uring6::tool

int main(int argc, char** argv) {
  uring6::tool::occupy_standard_descriptors();
  return static_cast<int>(uring6::tool::run_tool(argc, argv));
}
