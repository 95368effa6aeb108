// A program that was not linked with uring6: it loads each given library with dlopen, and calls `use_uring6` of those
// that have it on its own thread and on a thread that began earlier.
#include <dlfcn.h>

#include <cstdio>
#include <future>
#include <thread>

int main(int count, char** names) {
  std::promise<int (*)()> later;
  std::promise<int> outcome;
  // Thread-local variables are laid out when a thread starts: this one must find those of a library that came later.
  std::thread before([&] {
    int (*const use)() = later.get_future().get();
    outcome.set_value(use ? use() : 0);
  });
  int failed = 0;
  int (*use)() = nullptr;
  for (int i = 1; i < count; ++i) {
    void* const library = ::dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    if (!library) {
      std::printf("dlopen: %s\n", ::dlerror());
      failed = 1;
      continue;
    }
    if (void* const found = ::dlsym(library, "use_uring6")) {
      use = reinterpret_cast<int (*)()>(found);
      failed |= use();
    }
  }
  later.set_value(use);
  failed |= outcome.get_future().get();
  before.join();
  return failed;
}
