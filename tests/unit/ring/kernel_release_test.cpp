#include "sys/socket/kernel_release.hpp"

#include <catch2/catch_test_macros.hpp>

namespace {

using namespace uring6;

std::optional<kernel_version> version(std::string release, std::string build = {}, std::string signature = {}) {
  return version_of({std::move(release), std::move(build), std::move(signature)});
}

TEST_CASE("a kernel's version is in its release") {
  CHECK(version("6.9") == kernel_version{6, 9, 0});
  CHECK(version("6.10.3-amd64") == kernel_version{6, 10, 3});
  CHECK(version("6.18.44-fc-v595") == kernel_version{6, 18, 44});
  CHECK(version("6.6.36.3-microsoft-standard-WSL2") == kernel_version{6, 6, 36});
  CHECK(version("6.1.119-129.201.amzn2023.x86_64") == kernel_version{6, 1, 119});
  for (const char* wrong : {"6", "6.", "6.x", "unknown", "", "-6.9", "69"}) {
    INFO(wrong);
    CHECK_FALSE(version(wrong));
  }
}

TEST_CASE("a patch level that the release hides is read from the texts of Debian and Ubuntu") {
  CHECK(version("6.1.0-57-cloud-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.192-3 (2026-11-26)") ==
        kernel_version{6, 1, 192});
  CHECK(version("6.8.0-49-generic", "#49-Ubuntu SMP PREEMPT_DYNAMIC Mon Nov  4 02:06:24 UTC 2024",
                "Ubuntu 6.8.0-49.49-generic 6.8.12") == kernel_version{6, 8, 12});
  // Words that are no version, or that of another series, are ignored.
  CHECK(version("6.1.0-9-amd64", "#1 SMP built with gcc 12.2.0 on 2023.05.06") == kernel_version{6, 1, 0});
  CHECK(version("6.1.5", "#1 SMP 6.12.7 6.1. 6.1.x", "  ") == kernel_version{6, 1, 5});
}

TEST_CASE("the running kernel has a release") {
  CHECK(kernel_release() != "unknown");
  CHECK(read_kernel_names().release == kernel_release());
  CHECK(version_of(read_kernel_names()));
}

}  // namespace
