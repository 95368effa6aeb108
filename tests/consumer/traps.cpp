// What traps.sh runs: each trap of docs/gcc12.md, under its heading, and each way around it. A line for each: "trap" or
// "cure", its name, and whether it was "right" or "wrong". No library is needed; what is awaited is over at once.
#include <coroutine>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string_view>
#include <uring6/result.hpp>
#include <utility>

using namespace uring6;

namespace {

/// Begins when it is made, ends before its first suspension.
struct eager {
  struct promise_type {
    eager get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::abort(); }
  };
  std::coroutine_handle<promise_type> handle;
  ~eager() { handle.destroy(); }
};

/// Begins when it is resumed, as a task does.
struct lazy {
  struct promise_type {
    lazy get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
    std::suspend_always initial_suspend() noexcept { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::abort(); }
  };
  std::coroutine_handle<promise_type> handle;
  void run() { handle.resume(); }
  ~lazy() { handle.destroy(); }
};

template <class Value>
struct ready {
  Value value;
  bool await_ready() noexcept { return true; }
  void await_suspend(std::coroutine_handle<>) noexcept {}
  Value await_resume() noexcept { return value; }
};

void say(const char* kind, const char* name, bool right) {
  std::printf("%s %s: %s\n", kind, name, right ? "right" : "wrong");
}

// ## Both branches of a choice run

int firsts = 0;
int seconds = 0;

struct first {
  bool await_ready() noexcept { return true; }
  void await_suspend(std::coroutine_handle<>) noexcept {}
  result<int> await_resume() noexcept { return ++firsts, 1; }
};
struct second {
  bool await_ready() noexcept { return true; }
  void await_suspend(std::coroutine_handle<>) noexcept {}
  result<int> await_resume() noexcept { return ++seconds, 2; }
};
/// One whose result is no class.
struct second_plain {
  bool await_ready() noexcept { return true; }
  void await_suspend(std::coroutine_handle<>) noexcept {}
  bool await_resume() noexcept { return ++seconds, true; }
};

ready<int> send(const result<int>& what) {
  return {*what};
}
void call(const result<int>&) {}

void choice(const char* kind, const char* name, int wanted_firsts, int wanted_seconds) {
  say(kind, name, firsts == wanted_firsts && seconds == wanted_seconds);
  firsts = seconds = 0;
}

eager choices(bool urgent) {
  (void)co_await send(urgent ? co_await first() : co_await second());
  choice("trap", "a choice as an argument of what is awaited", 1, 0);
  call(urgent ? co_await first() : co_await second());
  choice("trap", "a choice as an argument", 1, 0);
  result<int> chosen;
  chosen = urgent ? co_await first() : co_await second();
  choice("trap", "a choice that is assigned", 1, 0);
  chosen = (urgent ? co_await first() : co_await second()).value();
  choice("trap", "a choice whose member is called", 1, 0);
  if (urgent ? co_await first() : co_await second()) chosen = 1;
  choice("trap", "a choice as a condition", 1, 0);
  while (!urgent && co_await second()) chosen = 2;
  choice("trap", "behind && in the condition of a loop", 0, 0);
  do chosen = 3;
  while (!(urgent || co_await second()));
  choice("trap", "behind || in the condition of a loop", 0, 0);

  if (urgent) {
    const auto what = co_await first();
    (void)co_await send(what);
  } else {
    const auto what = co_await second();
    (void)co_await send(what);
  }
  choice("cure", "if, with a co_await in each branch", 1, 0);
  for (int left = 3; left > 0; --left) {
    const auto what = co_await first();
    if (!what || *what == 1) break;
  }
  choice("cure", "a loop with a co_await in its body", 1, 0);
  while (!urgent && co_await second_plain()) chosen = 4;
  choice("cure", "a result that is no class", 0, 0);
}

// ## A temporary in braces is destroyed twice

int made = 0;
int gone = 0;

/// As std::string, but that a second destruction does no harm.
struct counted {
  counted(const char*) { ++made; }
  counted(const counted&) { ++made; }
  counted(counted&&) noexcept { ++made; }
  ~counted() { ++gone; }
};

struct request {
  counted path;
  int options;
};
struct request_with_constructor {
  counted path;
  int options;
  request_with_constructor(const char* p, int o) : path(p), options(o) {}
};
struct plain_request {
  int hops;
  int options;
};
int plain_seen = 0;

ready<int> take(const request& what) {
  return {what.options};
}
ready<int> take_value(request what) {
  return {what.options};
}
ready<int> take_constructed(const request_with_constructor& what) {
  return {what.options};
}
ready<int> take_plain(const plain_request& what) {
  return {what.hops};
}
request make_request() {
  return {"path", 1};
}
template <class Function>
ready<int> run(Function&& what) {
  return {what()};
}
ready<int> run_any(const std::function<int()>& what) {
  return {what()};
}

void lifetime(const char* kind, const char* name) {
  say(kind, name, made == gone);
  made = gone = 0;
}

eager temporaries() {
  (void)co_await take({"path", 1});
  lifetime("trap", "braces");
  (void)co_await take_value({"path", 1});
  lifetime("trap", "braces, by value");
  (void)co_await take(request{"path", 1});
  lifetime("trap", "braces with the name of the type");
  {
    const counted path("path");
    (void)co_await run([path] { return sizeof path > 0 ? 1 : 0; });
  }
  lifetime("trap", "a closure");
  {
    const counted path("path");
    (void)co_await run_any([path] { return sizeof path > 0 ? 1 : 0; });
  }
  lifetime("trap", "a closure that becomes a std::function");

  {
    const request wanted{"path", 1};
    (void)co_await take(wanted);
  }
  lifetime("cure", "a named variable");
  {
    request wanted{"path", 1};
    (void)co_await take_value(std::move(wanted));
  }
  lifetime("cure", "a named variable that is moved from");
  {
    const counted path("path");
    const auto work = [path] { return sizeof path > 0 ? 1 : 0; };
    (void)co_await run(work);
  }
  lifetime("cure", "a named closure");
  {
    auto operation = take({"path", 1});
    (void)co_await operation;
  }
  lifetime("cure", "the operation made before it is awaited");
  (void)co_await take(make_request());
  lifetime("cure", "what a function returns");
  (void)co_await take_constructed({"path", 1});
  lifetime("cure", "a type with a constructor");
  plain_seen = co_await take_plain({.hops = 3, .options = 1});
  say("cure", "what is trivially destructible", plain_seen == 3);
}

// ## A lambda that captures

int gone_before_it_ran = 0;

void closures() {
  {
    lazy work = [path = counted("path")]() -> lazy {
      gone_before_it_ran = gone;
      co_return;
    }();
    work.run();
  }
  say("every compiler's trap", "a closure that is called and gone", gone_before_it_ran == 0);
  made = gone = 0;
  {
    lazy work = [](counted) -> lazy {
      gone_before_it_ran = made - gone;  // alive
      co_return;
    }(counted("path"));
    work.run();
  }
  say("cure", "a parameter", gone_before_it_ran == 1);
  made = gone = 0;
  {
    const auto closure = [path = counted("path")]() -> lazy {
      gone_before_it_ran = gone;
      co_return;
    };
    lazy work = closure();
    work.run();
  }
  say("cure", "a closure that outlives its coroutine", gone_before_it_ran == 0);
}

}  // namespace

int main() {
  const eager all_choices = choices(true);
  const eager all_temporaries = temporaries();
  closures();
}
