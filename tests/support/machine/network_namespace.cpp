#include "support/machine/network_namespace.hpp"

#include <fcntl.h>
#include <sched.h>

#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <system_error>

#include "support/machine/link_control.hpp"
#include "support/machine/user_namespace.hpp"

namespace uring6::test {
namespace {

file_descriptor current() {
  file_descriptor fd(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  if (!fd) throw std::system_error(errno, std::system_category(), "/proc/thread-self/ns/net");
  return fd;
}

void switch_to(const file_descriptor& space) {
  if (::setns(space.get(), CLONE_NEWNET) == 0) return;
  // All later tests would run in the wrong network.
  std::perror("setns");
  std::abort();
}

}  // namespace

network_namespace::visit::visit(const network_namespace& space) : before_(current()) {
  switch_to(space.fd_);
}

network_namespace::visit::~visit() {
  switch_to(before_);
}

network_namespace::network_namespace() {
  const file_descriptor before = current();
  if (::unshare(CLONE_NEWNET) != 0) {
    SKIP("no network namespaces: " + std::system_category().message(errno) + "; " + user_namespace_outcome());
  }
  fd_ = current();
  switch_to(before);
  const visit inside(*this);
  try {
    write_sysctl("net/ipv6/conf/all/accept_dad", "0");
    write_sysctl("net/ipv6/conf/default/accept_dad", "0");
  } catch (const std::system_error& error) {
    SKIP("the settings of a network namespace cannot be changed: "
         << error.what() << "; /proc/sys has to be writable (in a container: --privileged)");
  }
  set_link(loopback_index, link_state::up);
}

}  // namespace uring6::test
