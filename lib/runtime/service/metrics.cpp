#include "uring6/metrics.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <stdexcept>

#include "ipv6/value/names.hpp"
#include "uring6/event_loop.hpp"

namespace uring6::inline v0 {
namespace {

constexpr bool is_letter(char each) noexcept {
  return (each >= 'a' && each <= 'z') || (each >= 'A' && each <= 'Z') || each == '_';
}

bool is_metric_name(std::string_view name, bool colons) noexcept {
  if (name.empty() || (name[0] >= '0' && name[0] <= '9')) return false;
  return std::all_of(name.begin(), name.end(), [=](char each) {
    return is_letter(each) || (each >= '0' && each <= '9') || (colons && each == ':');
  });
}

bool is_label_name(std::string_view name) noexcept {
  return is_metric_name(name, false) && !name.starts_with("__") && name != "le";
}

void append_escaped(std::string& to, std::string_view value) {
  for (const char each : value) {
    if (each == '\n') {
      to += "\\n";
      continue;
    }
    if (each == '"' || each == '\\') to += '\\';
    to += each;
  }
}

/// "uring6::loop_stats" of "uring6::v0::loop_stats", or of what the compiler makes of an inline namespace.
std::string without_version(std::string_view type) {
  std::string name(type);
  const auto version = name.find("::v0::");
  if (version != name.npos) name.erase(version, 4);
  return name;
}

/// "0.000512": decimal, without an exponent, and exact.
std::string seconds(std::uint64_t ns) {
  std::string text = fmt::format("{}.{:09}", ns / 1'000'000'000, ns % 1'000'000'000);
  const auto last = text.find_last_not_of('0');
  text.resize(text[last] == '.' ? last + 2 : last + 1);
  return text;
}

}  // namespace

std::string to_string(metrics_format format) {
  static constexpr detail::named<metrics_format> names[] = {{metrics_format::prometheus, "prometheus"},
                                                            {metrics_format::open_metrics, "open_metrics"}};
  return detail::name_of<metrics_format>(format, names);
}

std::string to_string(const time_histogram& times) {
  const std::uint64_t count = times.count();
  if (count == 0) return "none";
  std::size_t longest = times.bounds;
  while (times.counts[longest] == 0) --longest;
  const double mean = static_cast<double>(times.total_ns) / 1000 / static_cast<double>(count);
  const std::string bound = longest < times.bounds ? fmt::format("{}", times.bound(longest).count() / 1000) : "inf";
  return fmt::format("count={} mean_us={:.1f} longest_us<={}", count, mean, bound);
}

std::string to_string(const turn_times& times) {
  return fmt::format("took: {}; late: {}", to_string(times.took), to_string(times.late));
}

std::string metrics_page::begin(std::string_view prefix, std::span<const metric_label> labels) {
  if (!is_metric_name(prefix, true))
    throw std::invalid_argument(fmt::format("uring6::metrics_page: \"{}\" is no name of a metric", prefix));
  std::string text;
  for (auto each = labels.begin(); each != labels.end(); ++each) {
    const bool twice = std::any_of(labels.begin(), each, [&](const auto& before) { return before.name == each->name; });
    if (twice || !is_label_name(each->name)) {
      throw std::invalid_argument(
          fmt::format("uring6::metrics_page: \"{}\" is {}", each->name, twice ? "given twice" : "no name of a label"));
    }
    if (!text.empty()) text += ',';
    text.append(each->name).append("=\"");
    append_escaped(text, each->value);
    text += '"';
  }
  std::string key = fmt::format("{}{{{}}}", prefix, text);
  if (std::find(given_.begin(), given_.end(), key) != given_.end())
    throw std::invalid_argument("uring6::metrics_page: the page has " + key + " already");
  given_.push_back(std::move(key));
  return text;
}

metrics_page::family& metrics_page::family_of(const std::string& name, std::string_view kind, std::string_view help) {
  const auto [at, is_new] = index_of_.try_emplace(name, families_.size());
  if (is_new) {
    // OpenMetrics names the family of a counter without its suffix.
    std::string_view listed = name;
    if (format_ == metrics_format::open_metrics && kind == "counter") listed.remove_suffix(6);
    std::string head = fmt::format("# HELP {} ", listed);
    append_escaped(head, help);
    fmt::format_to(std::back_inserter(head), "\n# TYPE {} {}\n", listed, kind);
    families_.push_back({std::move(head), {}});
  }
  return families_[at->second];
}

void metrics_page::sample(const metric& of, const std::string& labels, std::uint64_t value) {
  const std::string name = fmt::format("{}_{}{}", of.prefix, of.name, of.gauge ? "" : "_total");
  const std::string help = fmt::format("{}::{}", without_version(of.type), of.name);
  family& in = family_of(name, of.gauge ? "gauge" : "counter", help);
  const auto out = std::back_inserter(in.samples);
  if (labels.empty()) {
    fmt::format_to(out, "{} {}\n", name, value);
  } else {
    fmt::format_to(out, "{}{{{}}} {}\n", name, labels, value);
  }
}

void metrics_page::add(std::string_view name, const time_histogram& times, std::string_view help,
                       std::span<const metric_label> labels) {
  const std::string given = begin(name, labels);
  family& in = family_of(std::string(name), "histogram", help);
  const auto out = std::back_inserter(in.samples);
  const std::string_view comma = given.empty() ? "" : ",";
  std::uint64_t so_far = 0;
  for (std::size_t i = 0; i < times.bounds; ++i) {
    so_far += times.counts[i];
    const auto bound = static_cast<std::uint64_t>(times.bound(i).count());
    fmt::format_to(out, "{}_bucket{{{}{}le=\"{}\"}} {}\n", name, given, comma, seconds(bound), so_far);
  }
  fmt::format_to(out, "{}_bucket{{{}{}le=\"+Inf\"}} {}\n", name, given, comma, times.count());
  const std::string braces = given.empty() ? given : '{' + given + '}';
  fmt::format_to(out, "{}_sum{} {}\n", name, braces, seconds(times.total_ns));
  fmt::format_to(out, "{}_count{} {}\n", name, braces, times.count());
}

void metrics_page::add(const event_loop& loop, std::span<const metric_label> labels) {
  add("uring6_loop", loop.stats(), labels);
  const auto pools = loop.pools();
  std::vector<metric_label> with_pool(labels.begin(), labels.end());
  with_pool.push_back({"pool", {}});
  for (std::size_t i = 0; i < pools.size(); ++i) {
    if (pools[i].buffers == 0) continue;
    with_pool.back().value = i == 0 ? "short" : "any";
    add("uring6_pool", pools[i], with_pool);
  }
  if (!loop.measures_turns()) return;
  const turn_times times = loop.measured_turns();
  add("uring6_loop_turn_seconds", times.took, "How long the loop's turns took (uring6::turn_times::took)", labels);
  add("uring6_loop_timer_late_seconds", times.late, "How late timers fired (uring6::turn_times::late)", labels);
}

void metrics_page::append_to(std::string& to) const {
  for (const family& each : families_) to.append(each.head).append(each.samples);
  if (format_ == metrics_format::open_metrics) to += "# EOF\n";
}

std::string metrics_page::text() const {
  std::string all;
  append_to(all);
  return all;
}

std::string_view metrics_page::content_type() const noexcept {
  return format_ == metrics_format::open_metrics ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                                                 : "text/plain; version=0.0.4; charset=utf-8";
}

}  // namespace uring6::inline v0
