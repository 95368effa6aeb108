// What the libuv subjects share.
#pragma once

#include <uv.h>

#include <memory>
#include <stdexcept>
#include <string>

#include "subjects/subject.hpp"

namespace bench::with_libuv {

/// Returns `result`; throws libuv's text if it is an error.
inline int succeed(int result, const char* what) {
  if (result < 0) throw std::runtime_error(std::string(what) + ": " + uv_strerror(result));
  return result;
}

/// A TCP echo server.
std::unique_ptr<subject> streams(const settings&);

}  // namespace bench::with_libuv
