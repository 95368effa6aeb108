#include "sys/socket/file_descriptor.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <type_traits>
#include <utility>

namespace {

using uring6::errc;
using uring6::file_descriptor;

file_descriptor open_null() {
  return file_descriptor(::open("/dev/null", O_RDONLY | O_CLOEXEC));
}

bool is_open(int fd) {
  return ::fcntl(fd, F_GETFD) >= 0;
}

TEST_CASE("file_descriptor closes at the end of its life") {
  int fd = -1;
  {
    const file_descriptor owner = open_null();
    fd = owner.get();
    REQUIRE(is_open(fd));
  }
  CHECK_FALSE(is_open(fd));
}

TEST_CASE("file_descriptor moves its descriptor and closes the one it replaces") {
  static_assert(!std::is_copy_constructible_v<file_descriptor>);
  file_descriptor first = open_null();
  file_descriptor second = open_null();
  const int kept = first.get();
  const int replaced = second.get();

  second = std::move(first);
  CHECK(second.get() == kept);
  CHECK(is_open(kept));
  CHECK_FALSE(is_open(replaced));
  CHECK_FALSE(first);  // a moved-from descriptor is empty

  file_descriptor& same = second;
  second = std::move(same);
  CHECK(second.get() == kept);
  CHECK(is_open(kept));
}

TEST_CASE("file_descriptor releases without closing") {
  file_descriptor owner = open_null();
  const int fd = owner.release();
  CHECK_FALSE(owner);
  CHECK(owner.release() == -1);
  REQUIRE(is_open(fd));
  ::close(fd);
}

TEST_CASE("file_descriptor reports a second close, and a close of its number elsewhere") {
  file_descriptor owner = open_null();
  REQUIRE(owner.close());
  CHECK(owner.close().error() == errc::closed);

  file_descriptor robbed = open_null();
  ::close(robbed.get());
  CHECK(robbed.close().error() == std::errc::bad_file_descriptor);
  CHECK_FALSE(robbed);
}

}  // namespace
