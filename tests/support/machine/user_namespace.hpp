// Lets an unprivileged test program make network namespaces.
#pragma once

#include <string>

namespace uring6::test {

/// What became of the attempt, for the reason of a skip: "privileged", "in a user namespace", or what failed.
std::string user_namespace_outcome();

}  // namespace uring6::test
