// The demo's server: reads all datagrams, enters them in the ledger, and answers questions.
#pragma once

#include "demo/ledger.hpp"
#include "output.hpp"
#include "uring6/packet_conn.hpp"
#include "uring6/task.hpp"

namespace uring6::tool {

/// Serves until `conn` is closed. Prints a line for each sample.
task<> serve(packet_conn& conn, ledger& book, output& out);

}  // namespace uring6::tool
