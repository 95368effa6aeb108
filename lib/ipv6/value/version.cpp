#include "uring6/version.hpp"

namespace uring6::inline v0 {

std::string_view version() noexcept {
  return URING6_VERSION_STRING;
}

}  // namespace uring6::inline v0
