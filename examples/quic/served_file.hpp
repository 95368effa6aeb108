// served_file: a file below a directory, in memory; served_files keeps the last ones.
#pragma once

#include <sys/stat.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

namespace quic {

/// A regular file, mapped. It must not be made shorter while it is served: a read behind its end is SIGBUS.
class served_file {
 public:
  /// Maps `file`, a descriptor, of which fstat says `about`. Throws std::system_error.
  served_file(int file, const struct stat& about);
  served_file(const served_file&) = delete;
  served_file& operator=(const served_file&) = delete;
  ~served_file();

  std::span<const std::uint8_t> content() const { return content_; }
  /// Whether it is that file, unchanged.
  bool is(const struct stat& about) const;

 private:
  struct stat about_;
  std::span<const std::uint8_t> content_;
};

class served_files {
 public:
  /// The files below the directory `path`. Throws std::system_error.
  explicit served_files(const char* path);
  served_files(const served_files&) = delete;
  served_files& operator=(const served_files&) = delete;
  ~served_files();

  /// The file at `path` ("/a/b"). nullptr if there is no regular file, if this process may not read it, or if the path
  /// leads out of the directory (openat2, RESOLVE_BENEATH). Throws std::system_error for what is no matter of the path,
  /// such as EMFILE.
  std::shared_ptr<const served_file> open(std::string_view path);

 private:
  int root_;
  // A file that is asked for again is not mapped again: the page faults of a mapping cost 2 % of sending it (perf).
  std::array<std::shared_ptr<const served_file>, 16> kept_;
  std::size_t oldest_ = 0;
};

}  // namespace quic
