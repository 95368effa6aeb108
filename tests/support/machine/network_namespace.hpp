// Network namespaces of a test's own: nothing in them reaches the machine's network, and they end with the object.
#pragma once

#include "sys/socket/file_descriptor.hpp"

namespace uring6::test {

/// A fresh network namespace with `lo` up and duplicate address detection off (an address is usable at once). Needs
/// CAP_SYS_ADMIN, which an unprivileged test program has in a user namespace that it enters at its start; if neither is
/// permitted, the constructor skips the test with the reason.
///
///     const network_namespace space;
///     const auto inside = space.enter();
class network_namespace {
 public:
  /// Keeps the calling thread in the namespace until it is destroyed; then the thread is back in the former one.
  class visit {
   public:
    explicit visit(const network_namespace& space);
    visit(const visit&) = delete;
    visit& operator=(const visit&) = delete;
    ~visit();

   private:
    file_descriptor before_;
  };

  network_namespace();

  [[nodiscard]] visit enter() const { return visit(*this); }

  /// Calls `f` in the namespace and returns its result. A socket that it opens stays there.
  template <class F>
  auto run(F f) const {
    const visit inside(*this);
    return f();
  }

  [[nodiscard]] int fd() const noexcept { return fd_.get(); }

 private:
  file_descriptor fd_;
};

}  // namespace uring6::test
