// System files that a test replaces for one process.
#pragma once

#include <string_view>

namespace uring6::test {

/// Whether a process can have mounts of its own: if the root is no mount (a changed root), all processes would see
/// them.
bool can_have_private_files() noexcept;
inline constexpr const char* no_private_files =
    "the root directory is no mount, so files cannot be replaced for one process";

/// Makes the mounts of the calling process visible to it and its children only: use it in a child. Needs CAP_SYS_ADMIN,
/// like network_namespace. Throws std::system_error.
void enter_mount_namespace();

/// Replaces `path`, which must be a file, by a file with this text. Throws std::system_error.
void replace_file(const char* path, std::string_view text);

/// Calls both for the names of hosts: the process knows those of `hosts` only (hosts(5)), and asks no name server.
void use_hosts(std::string_view hosts);

}  // namespace uring6::test
