// served_file: a file below a directory, in memory.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace quic {

/// A regular file, mapped. It must not be made shorter while it is served: a read behind its end is SIGBUS.
class served_file {
 public:
  /// Opens `path` ("/a/b") below the directory `root`, a descriptor. nullopt if there is no such file that can be read,
  /// or if the path leads out of the directory (openat2, RESOLVE_BENEATH).
  static std::optional<served_file> open(int root, std::string_view path);

  served_file(served_file&& other) noexcept;
  served_file& operator=(served_file&& other) noexcept;
  ~served_file();

  std::span<const std::uint8_t> content() const { return content_; }

 private:
  explicit served_file(std::span<const std::uint8_t> content) : content_(content) {}

  std::span<const std::uint8_t> content_;
};

}  // namespace quic
