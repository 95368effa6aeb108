// A line on the terminal that shows the current case; silent if the output is no terminal.
#pragma once

#include <set>
#include <string>
#include <string_view>

namespace bench {

class progress {
 public:
  progress();
  ~progress();

  /// Shows `what`, and how many of the cases are done.
  void show(std::string_view what);
  void begin(std::string_view contest, std::size_t number, std::size_t of);
  /// Prints a line that stays.
  void say(std::string_view line);
  /// Prints a line that was not printed before.
  void say_once(const std::string& line);

 private:
  void clear();

  bool terminal_;
  std::string head_;
  std::set<std::string> said_;
};

}  // namespace bench
