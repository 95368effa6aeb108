// The cases, a family a file; harness/contest.hpp says what a case is.
#pragma once

#include <memory>
#include <vector>

#include "harness/contest.hpp"

namespace bench {

using contests = std::vector<std::unique_ptr<contest>>;

void add_drains(contests&, const placement&);
void add_sends(contests&, const placement&);
void add_fan_outs(contests&, const placement&);
void add_relays(contests&, const placement&);
void add_streams(contests&, const placement&);
void add_echo_latencies(contests&, const placement&);
void add_echo_runs(contests&, const placement&);
void add_echo_crowds(contests&, const placement&);
void add_dns(contests&, const placement&);
void add_forward(contests&, const placement&);
void add_many_sockets(contests&, const placement&);
void add_tcp(contests&, const placement&);

}  // namespace bench
