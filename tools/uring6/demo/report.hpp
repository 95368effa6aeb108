// What the demo shows of its books: lines as it goes, and the summary as text or JSON.
#pragma once

#include <nlohmann/json.hpp>

#include "demo/ledger.hpp"
#include "output.hpp"

namespace uring6::tool {

void print_heading(const ledger& book, output& out);
void print_sample(const sample& what, output& out);
void print_summary(const ledger& book, output& out);

nlohmann::ordered_json to_json(const ledger& book);

}  // namespace uring6::tool
