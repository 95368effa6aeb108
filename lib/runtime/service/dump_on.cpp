#include <unistd.h>

#include <cerrno>
#include <string_view>

#include "uring6/event_loop.hpp"
#include "uring6/signals.hpp"
#include "uring6/tasks.hpp"
#include "uring6/this_task.hpp"

namespace uring6::inline v0 {
namespace {

void write_whole(int descriptor, std::string_view text) noexcept {
  while (!text.empty()) {
    const ssize_t written = ::write(descriptor, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

}  // namespace

task<result<void>> dump_on(int signal, int descriptor) {
  event_loop& loop = co_await this_task::loop();
  auto source = signals::open(loop, {&signal, 1});
  if (!source) co_return fail(source);
  for (;;) {
    const auto got = co_await source->next();
    if (!got) co_return fail(got.error());
    write_whole(descriptor, to_string(loop.tasks()));
  }
}

}  // namespace uring6::inline v0
