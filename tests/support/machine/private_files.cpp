#include "support/machine/private_files.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string>
#include <system_error>

#include "sys/socket/file_descriptor.hpp"

namespace uring6::test {

bool can_have_private_files() noexcept {
  struct statx root {};
  return ::statx(AT_FDCWD, "/", 0, 0, &root) == 0 && (root.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

void enter_mount_namespace() {
  if (::unshare(CLONE_NEWNS) != 0 || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
    throw std::system_error(errno, std::system_category(), "a mount namespace");
}

void replace_file(const char* path, std::string_view text) {
  std::string name = "/tmp/uring6-file-XXXXXX";
  const file_descriptor file(::mkstemp(name.data()));
  const bool good = file && ::fchmod(file.get(), 0644) == 0 &&
                    ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
                    ::mount(name.c_str(), path, nullptr, MS_BIND, nullptr) == 0;
  const int error = errno;
  (void)::unlink(name.c_str());
  if (!good) throw std::system_error(error, std::system_category(), path);
}

void use_hosts(std::string_view hosts) {
  enter_mount_namespace();
  replace_file("/etc/nsswitch.conf", "hosts: files\n");
  replace_file("/etc/hosts", hosts);
}

}  // namespace uring6::test
