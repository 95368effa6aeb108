#include "harness/measure/window.hpp"

namespace bench {

loss_account& loss_account::operator+=(const loss_account& other) noexcept {
  sent += other.sent;
  received += other.received;
  dropped += other.dropped;
  bad += other.bad;
  return *this;
}

}  // namespace bench
