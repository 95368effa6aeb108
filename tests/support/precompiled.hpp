// What most files of the suites include, compiled once for each suite where b_pch is on (tools/lib/configurations.py).
// No file relies on it: each includes what it uses, and builds without it find a missing include. It has no #pragma
// once: the compiler takes it for a main file, and so warns.

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "support/case/coroutines.hpp"
#include "support/machine/link_control.hpp"
#include "support/machine/veth_pair.hpp"
#include "support/traffic/conns.hpp"
#include "uring6/uring6.hpp"
