// A subcommand: its options, and what it does.
#pragma once

#include <memory>

#include "exit_status.hpp"
#include "output.hpp"

namespace CLI {
class App;
}

namespace uring6::tool {

class command {
 public:
  command() = default;
  command(const command&) = delete;
  command& operator=(const command&) = delete;
  virtual ~command() = default;

  /// Adds the subcommand's own options; --help and --json belong to all subcommands.
  virtual void add_options(CLI::App& app) = 0;

  /// Throws `failure` if it cannot run.
  virtual exit_status run(output& out) = 0;
};

std::unique_ptr<command> make_demo();
std::unique_ptr<command> make_probe();

}  // namespace uring6::tool
