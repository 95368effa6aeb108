#include "support/machine/environment.hpp"

#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <cstdio>
#include <fstream>
#include <system_error>
#include <vector>

#include "sys/socket/file_descriptor.hpp"
#include "uring6/event_loop.hpp"

namespace uring6::test {
namespace {

/// The kernel checks these capabilities in the first user namespace, not in one that a test or a container has made:
/// only the first one maps all identities to themselves.
bool in_first_user_namespace() {
  std::ifstream map("/proc/self/uid_map");
  unsigned long inside = 1;
  unsigned long outside = 1;
  unsigned long count = 0;
  map >> inside >> outside >> count;
  return inside == 0 && outside == 0 && count == 0xffffffff;
}

bool has_capability(unsigned capability) {
  if (!in_first_user_namespace()) return false;
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> sets{};
  if (::syscall(SYS_capget, &header, sets.data()) != 0) throw std::system_error(errno, std::system_category());
  return (sets[capability / 32].effective >> capability % 32 & 1) != 0;
}

/// The number in /proc/sys/`path`, or `missing` where the kernel has no such file.
long setting(const std::string& path, long missing) {
  std::ifstream file("/proc/sys/" + path);
  long value = missing;
  file >> value;
  return value;
}

bool in_group(long group) {
  std::vector<gid_t> groups(static_cast<std::size_t>(::getgroups(0, nullptr)));
  ::getgroups(static_cast<int>(groups.size()), groups.data());
  groups.push_back(::getegid());
  return std::ranges::find(groups, static_cast<gid_t>(group)) != groups.end();
}

bool older_than(int major, int minor) {
  utsname name{};
  if (::uname(&name) != 0) throw std::system_error(errno, std::system_category());
  int own_major = 0;
  int own_minor = 0;
  std::sscanf(name.release, "%d.%d", &own_major, &own_minor);
  return own_major < major || (own_major == major && own_minor < minor);
}

}  // namespace

std::optional<std::string> reason_against_loops() {
  if (older_than(6, 1)) return "Linux 6.1";
  const long disabled = setting("kernel/io_uring_disabled", 0);
  if (disabled == 2) return "kernel.io_uring_disabled is 2";
  const long group = setting("kernel/io_uring_group", -1);
  const bool admitted = has_capability(CAP_SYS_ADMIN) || (group >= 0 && in_group(group));
  if (disabled == 1 && !admitted) return "kernel.io_uring_disabled is 1";
  return std::nullopt;
}

bool is_administrator() {
  return has_capability(CAP_SYS_ADMIN);
}

bool memory_may_be_locked() {
  rlimit limit{};
  ::getrlimit(RLIMIT_MEMLOCK, &limit);
  return limit.rlim_cur == RLIM_INFINITY || has_capability(CAP_IPC_LOCK);
}

bool has_ipv6() {
  const file_descriptor fd(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (fd.get() < 0 && errno != EAFNOSUPPORT) throw std::system_error(errno, std::system_category(), "socket");
  return fd.get() >= 0;
}

void need_ipv6() {
  if (!has_ipv6()) SKIP("this kernel opens no IPv6 socket (ipv6.disable=1)");
}

void need_io_uring() {
  if (event_loop().driver() == loop_driver::readiness) SKIP("is about io_uring; loops run by readiness here");
}

}  // namespace uring6::test
