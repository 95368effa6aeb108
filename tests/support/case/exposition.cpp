#include "support/case/exposition.hpp"

#include <cctype>
#include <set>
#include <stdexcept>
#include <vector>

namespace uring6::test {
namespace {

[[noreturn]] void refuse(std::string_view line, const std::string& why) {
  throw std::runtime_error(why + ": " + std::string(line));
}

std::string_view take_name(std::string_view& from, std::string_view line, bool colons) {
  std::size_t length = 0;
  while (length < from.size()) {
    const char each = from[length];
    const bool digit = each >= '0' && each <= '9';
    const bool letter = std::isalpha(static_cast<unsigned char>(each)) != 0 || each == '_' || (colons && each == ':');
    if (!letter && !(digit && length > 0)) break;
    ++length;
  }
  if (length == 0) refuse(line, "no name");
  const std::string_view name = from.substr(0, length);
  from.remove_prefix(length);
  return name;
}

void take(std::string_view& from, std::string_view what, std::string_view line) {
  if (!from.starts_with(what)) refuse(line, "expected '" + std::string(what) + "'");
  from.remove_prefix(what.size());
}

/// `{a="b",c="d"}`. Returns the value of `le`.
std::string take_labels(std::string_view& from, std::string_view line) {
  std::set<std::string_view> names;
  std::string bound;
  take(from, "{", line);
  for (;;) {
    const std::string_view name = take_name(from, line, false);
    if (!names.insert(name).second) refuse(line, "a label twice");
    take(from, "=\"", line);
    std::string value;
    while (!from.starts_with('"')) {
      if (from.empty()) refuse(line, "no end of a label's value");
      if (from[0] == '\\') {
        if (from.size() < 2 || std::string_view("\\\"n").find(from[1]) == std::string_view::npos)
          refuse(line, "an unknown escape");
        from.remove_prefix(1);
      }
      value += from[0];
      from.remove_prefix(1);
    }
    take(from, "\"", line);
    if (name == "le") bound = value;
    if (!from.starts_with(',')) break;
    take(from, ",", line);
  }
  take(from, "}", line);
  return bound;
}

double number_of(std::string_view text, std::string_view line) {
  std::size_t used = 0;
  const std::string copy(text);
  const double value = copy.empty() || copy[0] == ' ' ? -1 : std::stod(copy, &used);
  if (used != copy.size() || value < 0) refuse(line, "not a number that a counter has");
  return value;
}

/// The samples of one metric, in the order of the text.
class reader {
 public:
  explicit reader(bool open_metrics) noexcept : open_metrics_(open_metrics) {}

  void read(std::string_view line) {
    if (ended_) refuse(line, "behind the end");
    if (line.empty()) refuse(line, "an empty line");
    if (line == "# EOF" && open_metrics_) return end_all();
    if (line.starts_with("# HELP ")) return help(line.substr(7), line);
    if (line.starts_with("# TYPE ")) return type(line.substr(7), line);
    if (line[0] == '#') refuse(line, "an unknown comment");
    sample(line);
  }

  exposition end() {
    if (open_metrics_ && !ended_) refuse("", "no # EOF");
    if (!ended_) end_family("");
    return std::move(got_);
  }

 private:
  void end_all() {
    end_family("# EOF");
    ended_ = true;
  }

  void help(std::string_view rest, std::string_view line) {
    end_family(line);
    name_ = std::string(take_name(rest, line, true));
    take(rest, " ", line);
    if (rest.empty()) refuse(line, "no help");
    if (got_.kinds.contains(name_)) refuse(line, "a metric in two places");
    kind_.clear();
  }

  void type(std::string_view rest, std::string_view line) {
    const std::string_view name = take_name(rest, line, true);
    take(rest, " ", line);
    if (name != name_ || !kind_.empty()) refuse(line, "TYPE without its HELP");
    if (rest != "counter" && rest != "gauge" && rest != "histogram") refuse(line, "an unknown type");
    kind_ = std::string(rest);
    const bool total = name.ends_with("_total");
    if (kind_ == "counter" && total == open_metrics_) refuse(line, "_total where it must not be, or not where it must");
    if (kind_ != "counter" && total) refuse(line, "_total of no counter");
    got_.kinds[name_] = kind_;
    samples_ = 0;
  }

  void sample(std::string_view line) {
    if (kind_.empty()) refuse(line, "a sample without a TYPE");
    std::string_view rest = line;
    const std::string name(take_name(rest, line, true));
    const std::string bound = rest.starts_with('{') ? take_labels(rest, line) : "";
    const std::string key(line.substr(0, line.size() - rest.size()));
    take(rest, " ", line);
    const double value = number_of(rest, line);
    if (!got_.values.emplace(key, rest).second) refuse(line, "a sample twice");
    ++samples_;
    if (kind_ == "histogram") return bucket(name, bound, value, line);
    if (name != (kind_ == "counter" && open_metrics_ ? name_ + "_total" : name_)) refuse(line, "of another metric");
    if (!bound.empty()) refuse(line, "a bound of no histogram");
  }

  void bucket(const std::string& name, const std::string& bound, double value, std::string_view line) {
    if (name == name_ + "_sum") return;
    if (name == name_ + "_count") {
      if (bound_ != "+Inf" || value != counted_) refuse(line, "the count is not that of the last bucket");
      bound_.clear();
      return;
    }
    if (name != name_ + "_bucket" || bound.empty()) refuse(line, "of another metric");
    if (!bound_.empty() && bound != "+Inf" && std::stod(bound) <= std::stod(bound_)) refuse(line, "bounds fall");
    if (!bound_.empty() && value < counted_) refuse(line, "buckets are not cumulative");
    bound_ = bound;
    counted_ = value;
  }

  void end_family(std::string_view line) {
    if (name_.empty()) return;
    if (samples_ == 0) refuse(line, "no sample of " + name_);
    if (!bound_.empty()) refuse(line, "no count of " + name_);
    name_.clear();
  }

  bool open_metrics_;
  bool ended_ = false;
  std::string name_;
  std::string kind_;
  std::size_t samples_ = 0;
  std::string bound_;
  double counted_ = 0;
  exposition got_;
};

}  // namespace

exposition read_exposition(std::string_view text, bool open_metrics) {
  reader lines(open_metrics);
  while (!text.empty()) {
    const auto end = text.find('\n');
    if (end == text.npos) refuse(text, "no line end");
    lines.read(text.substr(0, end));
    text.remove_prefix(end + 1);
  }
  return lines.end();
}

}  // namespace uring6::test
