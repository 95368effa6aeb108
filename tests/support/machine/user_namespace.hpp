// Allows an unprivileged test program to make network namespaces.
#pragma once

#include <string>

namespace uring6::test {

/// The result of the attempt, for the reason of a skip: "privileged", "in a user namespace", or the failure.
std::string user_namespace_outcome();

}  // namespace uring6::test
