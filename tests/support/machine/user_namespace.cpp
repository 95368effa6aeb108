#include "support/machine/user_namespace.hpp"

#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <catch2/interfaces/catch_interfaces_reporter.hpp>
#include <catch2/reporters/catch_reporter_event_listener.hpp>
#include <catch2/reporters/catch_reporter_registrars.hpp>
#include <cerrno>
#include <cstdint>
#include <exception>
#include <string>
#include <system_error>

#include "support/machine/link_control.hpp"
#include "support/process/forked.hpp"
#include "sys/socket/file_descriptor.hpp"

namespace uring6::test {
namespace {

std::string outcome = "the test program has not started";

bool privileged() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> sets{};
  if (::syscall(SYS_capget, &header, sets.data()) != 0) return false;
  const std::uint32_t wanted = 1U << CAP_SYS_ADMIN | 1U << CAP_NET_ADMIN | 1U << CAP_NET_RAW;
  return (sets[0].effective & wanted) == wanted;
}

void write_file(const char* path, const std::string& text) {
  const file_descriptor file(::open(path, O_WRONLY | O_CLOEXEC));
  if (!file || ::write(file.get(), text.data(), text.size()) < 0) {
    throw std::system_error(errno, std::system_category(), path);
  }
}

// Enters a new network namespace, too: the first one belongs to the user namespace that the thread leaves, and cannot
// be entered again from the new one.
void enter_user_namespace() {
  const uid_t user = ::geteuid();
  const gid_t group = ::getegid();
  if (::unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) {
    throw std::system_error(errno, std::system_category(), "unshare(CLONE_NEWUSER)");
  }
  write_file("/proc/self/setgroups", "deny");
  write_file("/proc/self/uid_map", "0 " + std::to_string(user) + " 1");
  write_file("/proc/self/gid_map", "0 " + std::to_string(group) + " 1");
  set_link(loopback_index, link_state::up);
}

// Runs before the first test, while the process has one thread only: unshare requires that.
class at_start : public Catch::EventListenerBase {
 public:
  using EventListenerBase::EventListenerBase;

  void testRunStarting(const Catch::TestRunInfo&) override {
    if (privileged()) {
      outcome = "privileged";
      return;
    }
    try {
      // If the kernel grants the namespace but not its privileges (AppArmor), the process could not leave it again.
      in_child([] {
        enter_user_namespace();
        return std::string();
      });
      enter_user_namespace();
      outcome = "in a user namespace";
    } catch (const std::exception& error) {
      outcome = std::string("no user namespace, ") + error.what() +
                " (see the sysctls user.max_user_namespaces, kernel.unprivileged_userns_clone, "
                "kernel.apparmor_restrict_unprivileged_userns)";
    }
  }
};

CATCH_REGISTER_LISTENER(at_start)

}  // namespace

std::string user_namespace_outcome() {
  return outcome;
}

}  // namespace uring6::test
