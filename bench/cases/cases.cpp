#include "cases/cases.hpp"

namespace bench {

std::vector<std::unique_ptr<contest>> all_contests(const placement& where) {
  contests all;
  add_drains(all, where);
  add_sends(all, where);
  add_fan_outs(all, where);
  add_relays(all, where);
  add_streams(all, where);
  add_echo_latencies(all, where);
  add_echo_runs(all, where);
  add_echo_crowds(all, where);
  add_dns(all, where);
  add_forward(all, where);
  add_many_sockets(all, where);
  add_tcp(all, where);
  return all;
}

}  // namespace bench
