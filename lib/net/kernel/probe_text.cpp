#include <fmt/format.h>

#include <iterator>
#include <string_view>

#include "uring6/probe.hpp"
#include "uring6/text.hpp"

namespace uring6::inline v0 {
namespace {

std::string_view yes_no(bool value) {
  return value ? "yes" : "no";
}

std::string words(const std::vector<std::string>& all) {
  return all.empty() ? "none" : fmt::format("{}", fmt::join(all, " "));
}

}  // namespace

std::string to_string(const probe_report& report) {
  fmt::memory_buffer out;
  const auto line = [&out](std::string_view name, std::string_view value) {
    fmt::format_to(std::back_inserter(out), "{}{:<19}{}", out.size() == 0 ? "" : "\n", name, value);
  };
  const auto list = [&line](std::string_view name, const std::vector<std::string>& sentences) {
    if (sentences.empty()) line(name, "nothing");
    for (const std::string& each : sentences) line(name, each);
  };

  line("kernel", report.kernel);
  line("driver", report.driver == loop_driver::automatic ? std::string("none") : to_string(report.driver));
  line("io_uring", yes_no(report.ring));
  if (!report.setup_flags.empty()) {
    line("  set up with", words(report.setup_flags));
    line("  features", words(report.ring_features));
    line("  entries", fmt::format("{} to submit, {} completed", report.submission_entries, report.completion_entries));
    line("  registered fd", yes_no(report.registered_descriptor));
    line("  buffer rings", yes_no(report.buffer_rings));
    line("  multishot read", report.multishot_receive ? yes_no(*report.multishot_receive) : "not tried");
    line("  zero-copy send", yes_no(report.zero_copy_send));
  }
  line("IPv6", !report.ipv6 ? "no" : report.ipv6_loopback ? "yes" : "yes, but no ::1");
  line("trains sent",
       report.longest_train == 0 ? "no" : fmt::format("up to {} datagrams (UDP_SEGMENT)", report.longest_train));
  line("trains received", report.receive_trains ? "yes (UDP_GRO)" : "no");
  line("receive buffer", fmt::format("up to {} octets (net.core.rmem_max)", report.largest_receive_buffer));
  line("send buffer", fmt::format("up to {} octets (net.core.wmem_max)", report.largest_send_buffer));
  line("CAP_NET_RAW", yes_no(report.net_raw));
  line("CAP_NET_ADMIN", yes_no(report.net_admin));
  list("slower for", report.degraded);
  list("missing", report.missing);
  return fmt::to_string(out);
}

}  // namespace uring6::inline v0
