// uring6 probe: whether this machine is ready, and if not, why not.
#include "uring6/probe.hpp"

#include <nlohmann/json.hpp>

#include "command.hpp"
#include "uring6/format.hpp"

namespace uring6::tool {
namespace {

nlohmann::ordered_json to_json(const probe_report& report) {
  nlohmann::ordered_json object{
      {"command", "probe"},
      {"ready", report.ready()},
      {"kernel", report.kernel},
      {"driver", to_string(report.driver)},
      {"io_uring",
       {{"ring", report.ring},
        {"setup_flags", report.setup_flags},
        {"features", report.ring_features},
        {"submission_entries", report.submission_entries},
        {"completion_entries", report.completion_entries},
        {"registered_descriptor", report.registered_descriptor},
        {"buffer_rings", report.buffer_rings},
        {"multishot_receive", nullptr},
        {"zero_copy_send", report.zero_copy_send}}},
      {"network",
       {{"ipv6", report.ipv6},
        {"ipv6_loopback", report.ipv6_loopback},
        {"longest_train", report.longest_train},
        {"receive_trains", report.receive_trains},
        {"largest_receive_buffer", report.largest_receive_buffer},
        {"largest_send_buffer", report.largest_send_buffer}}},
      {"privileges", {{"net_raw", report.net_raw}, {"net_admin", report.net_admin}}},
      {"missing", report.missing},
      {"degraded", report.degraded},
  };
  if (report.multishot_receive) object["io_uring"]["multishot_receive"] = *report.multishot_receive;
  return object;
}

class probe_command final : public command {
 public:
  void add_options(CLI::App&) override {}

  exit_status run(output& out) override {
    const probe_report report = probe();
    out.line("{}", report);
    out.object(to_json(report));
    return report.ready() ? exit_status::ok : exit_status::environment;
  }
};

}  // namespace

std::unique_ptr<command> make_probe() {
  return std::make_unique<probe_command>();
}

}  // namespace uring6::tool
