// metrics: the counters as text for Prometheus and for OpenMetrics. There is no server in it: a program gives the text
// to the one that it has, or to 20 lines (examples/metrics.cpp).
#pragma once

#include "uring6/version.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "uring6/export.hpp"
#include "uring6/stats.hpp"
#include "uring6/turn_times.hpp"

namespace uring6::inline v0 {

class event_loop;

/// The members of a statistics type that are a state, which may fall, and no count: gauges. The others of `counters_of`
/// only grow: counters. A program specializes it for its own statistics.
template <class Stats>
inline constexpr std::array<std::string_view, 0> gauges_of{};

template <>
inline constexpr auto gauges_of<loop_stats> = std::to_array<std::string_view>({"readiness", "io_uring_errno"});

template <>
inline constexpr auto gauges_of<pool_stats> = std::to_array<std::string_view>({"buffers", "buffer_size", "in_kernel",
                                                                               "in_use", "moved_out_bytes"});

enum class metrics_format : std::uint8_t {
  prometheus,    ///< Prometheus' text format 0.0.4, which every scraper of Prometheus and `promtool` read.
  open_metrics,  ///< OpenMetrics 1.0.0.
};

/// `prometheus`, `open_metrics`; the number of another value.
URING6_EXPORT std::string to_string(metrics_format format);

/// A label of a metric: {loop="0"}.
struct metric_label {
  std::string_view name{};   ///< [a-zA-Z_][a-zA-Z0-9_]*, not beginning with two underscores; not "le".
  std::string_view value{};  ///< UTF-8; quotation marks, backslashes and line ends are escaped.
};

/// Collects samples and gives them out as one text, in which all samples of a metric stand together, as the formats
/// ask.
///
///     metrics_page page;
///     page.add(loop, {{"loop", "0"}});
///     page.add("uring6_conn", pc.stats(), {{"loop", "0"}, {"conn", "dns"}});
///     answer(page.content_type(), page.text());
///
/// Counters are named "<prefix>_<name>_total" with the names of `counters_of`, gauges "<prefix>_<name>". Each metric
/// has a HELP line that names the member, whose header says what it counts.
///
/// A value: read the counters on the loop's thread, then the page may go to another one. All functions but
/// `content_type` throw std::bad_alloc.
class URING6_EXPORT metrics_page {
 public:
  explicit metrics_page(metrics_format format = metrics_format::prometheus) noexcept : format_(format) {}

  /// Adds all counters of `stats`, those that are 0 too. `prefix`: [a-zA-Z_:][a-zA-Z0-9_:]*.
  ///
  /// Throws std::invalid_argument for a prefix or a label's name that the formats do not allow, for a label that is
  /// given twice, and for labels that the page has already with that prefix: a scraper would refuse the whole page. The
  /// page is then as before.
  template <has_counters Stats>
  void add(std::string_view prefix, const Stats& stats, std::span<const metric_label> labels) {
    const std::string given = begin(prefix, labels);
    for_each_counter(stats, [&](std::string_view name, std::uint64_t value) {
      bool gauge = false;
      for (const std::string_view each : gauges_of<Stats>) gauge |= each == name;
      sample({prefix, name, gauge, type_of<Stats>()}, given, value);
    });
  }
  template <has_counters Stats>
  void add(std::string_view prefix, const Stats& stats, std::initializer_list<metric_label> labels = {}) {
    add(prefix, stats, std::span(labels.begin(), labels.size()));
  }

  /// Adds a histogram, in seconds, as a metric of that name ("uring6_loop_turn_seconds"). `help` is the text of its
  /// HELP line. Throws as the other.
  void add(std::string_view name, const time_histogram& times, std::string_view help,
           std::span<const metric_label> labels);
  void add(std::string_view name, const time_histogram& times, std::string_view help,
           std::initializer_list<metric_label> labels = {}) {
    add(name, times, help, std::span(labels.begin(), labels.size()));
  }

  /// Adds what a loop counts: `stats` as uring6_loop, those of `pools` that are in use as uring6_pool with a label
  /// `pool` ("short", "any"), and with `loop_options::measure_turns` also `turn_times` as uring6_loop_turn_seconds and
  /// uring6_loop_timer_late_seconds. On the loop's thread: on others all counters are 0. Throws as the others.
  void add(const event_loop& loop, std::span<const metric_label> labels);
  void add(const event_loop& loop, std::initializer_list<metric_label> labels = {}) {
    add(loop, std::span(labels.begin(), labels.size()));
  }

  /// The text, with "# EOF" at its end in OpenMetrics.
  std::string text() const;
  /// Appends the text to `to`, which may keep its memory from scrape to scrape.
  void append_to(std::string& to) const;

  /// The value of HTTP's Content-Type.
  std::string_view content_type() const noexcept;

 private:
  struct metric {
    std::string_view prefix;
    std::string_view name;
    bool gauge;
    std::string_view type;  // of which the name is a member
  };
  struct family {
    std::string head;     // HELP and TYPE
    std::string samples;  // their lines
  };

  template <class Stats>
  static constexpr std::string_view type_of() noexcept {
    const std::string_view whole = __PRETTY_FUNCTION__;
    const std::string_view from = whole.substr(whole.find("Stats = ") + 8);
    return from.substr(0, from.find_first_of(";]"));
  }

  /// Checks them. Returns the labels as text, without braces.
  std::string begin(std::string_view prefix, std::span<const metric_label> labels);
  void sample(const metric& of, const std::string& labels, std::uint64_t value);
  URING6_HIDDEN family& family_of(const std::string& name, std::string_view kind, std::string_view help);

  metrics_format format_;
  std::vector<family> families_;
  std::unordered_map<std::string, std::size_t> index_of_;
  std::vector<std::string> given_;  // each prefix with its labels
};

}  // namespace uring6::inline v0
