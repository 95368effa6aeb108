// The demo's output: lines as it goes, and the summary as text or JSON.
#pragma once

#include "demo/ledger.hpp"
#include "output.hpp"

namespace uring6::tool {

void print_heading(const ledger& book, output& out);
void print_sample(const sample& what, output& out);
/// Prints the summary: lines, or the JSON object.
void print_summary(const ledger& book, output& out);

}  // namespace uring6::tool
