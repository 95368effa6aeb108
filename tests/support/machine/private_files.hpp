// Files of the system that a test puts others in the place of, for one process.
#pragma once

#include <string_view>

namespace uring6::test {

/// Whether mounts can be kept to a process: where the root is no mount (a changed root), they would be everybody's.
bool can_have_private_files() noexcept;
inline constexpr const char* no_private_files =
    "the root directory is no mount, so files cannot be replaced for one process";

/// From now on what the calling process mounts is seen by it and its children only: use it in a child. Needs
/// CAP_SYS_ADMIN, as network_namespace. Throws std::system_error.
void enter_mount_namespace();

/// Puts a file with this text in the place of `path`, which must be a file. Throws std::system_error.
void replace_file(const char* path, std::string_view text);

/// Both, for the names of hosts: they are those of `hosts` (hosts(5)), and nobody else is asked.
void use_hosts(std::string_view hosts);

}  // namespace uring6::test
