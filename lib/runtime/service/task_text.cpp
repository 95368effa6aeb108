#include <fmt/format.h>

#include <iterator>
#include <unordered_map>
#include <vector>

#include "ipv6/value/names.hpp"
#include "uring6/tasks.hpp"

namespace uring6::inline v0 {
namespace {

constexpr detail::named<task_state> state_names[] = {
    {task_state::running, "running"}, {task_state::ready, "ready"}, {task_state::waiting, "waiting"}};

/// "service.cpp" of "../src/service.cpp": the directory is the build's, and makes lines long.
std::string_view last_part(std::string_view path) {
  const auto slash = path.rfind('/');
  return slash == path.npos ? path : path.substr(slash + 1);
}

void append_line(std::string& to, const task_info& task) {
  const auto out = std::back_inserter(to);
  to += task.origin;
  if (task.spawned.line() != 0) fmt::format_to(out, " {}:{}", last_part(task.spawned.file_name()), task.spawned.line());
  switch (task.state) {
    case task_state::running:
      to += ": runs";
      break;
    case task_state::ready:
      to += task.operation.empty() ? ": is about to begin" : ": is about to go on after ";
      break;
    case task_state::waiting:
      to += ": waits for ";
      break;
  }
  to += task.operation;
  if (task.descriptor >= 0) fmt::format_to(out, ", fd {}", task.descriptor);
  if (task.local) to.append(" ").append(task.local->to_string());
  if (task.peer) to.append(" with ").append(task.peer->to_string());
  if (task.stop_requested) to += ", stop requested";
}

void append_string(std::string& to, std::string_view text) {
  to += '"';
  for (const char each : text) {
    if (each == '"' || each == '\\') to += '\\';
    if (static_cast<unsigned char>(each) < 0x20) {
      fmt::format_to(std::back_inserter(to), "\\u{:04x}", static_cast<unsigned>(each));
    } else {
      to += each;
    }
  }
  to += '"';
}

void append_member(std::string& to, std::string_view name, std::string_view text) {
  to.append(to.back() == '{' ? "\"" : ",\"").append(name).append("\":");
  append_string(to, text);
}

void append_number(std::string& to, std::string_view name, std::int64_t value) {
  to.append(",\"").append(name).append("\":").append(std::to_string(value));
}

void append_object(std::string& to, const task_info& task) {
  to += '{';
  append_member(to, "id", fmt::format("{:x}", task.id));
  if (task.parent != 0) append_member(to, "parent", fmt::format("{:x}", task.parent));
  append_member(to, "origin", task.origin);
  if (task.spawned.line() != 0) {
    append_member(to, "file", task.spawned.file_name());
    append_number(to, "line", task.spawned.line());
    append_member(to, "function", task.spawned.function_name());
  }
  append_member(to, "state", to_string(task.state));
  append_number(to, "depth", static_cast<std::int64_t>(task.depth));
  if (!task.operation.empty()) append_member(to, "operation", task.operation);
  if (task.descriptor >= 0) append_number(to, "descriptor", task.descriptor);
  if (task.local) append_member(to, "local", task.local->to_string());
  if (task.peer) append_member(to, "peer", task.peer->to_string());
  if (task.until) append_number(to, "until_ns", std::chrono::nanoseconds(task.until->time_since_epoch()).count());
  to.append(",\"stop_requested\":").append(task.stop_requested ? "true" : "false");
  if (task.code) append_member(to, "code", fmt::format("{:x}", reinterpret_cast<std::uintptr_t>(task.code)));
  to += '}';
}

}  // namespace

std::string to_string(task_state state) {
  return detail::name_of<task_state>(state, state_names);
}

std::string to_string(const task_info& task) {
  std::string text;
  append_line(text, task);
  return text;
}

std::string to_string(std::span<const task_info> tasks) {
  if (tasks.empty()) return "no tasks\n";
  std::unordered_map<std::uint64_t, std::size_t> index_of;
  for (std::size_t i = 0; i < tasks.size(); ++i) index_of.emplace(tasks[i].id, i);
  std::vector<std::vector<std::size_t>> children(tasks.size());
  struct line {
    std::size_t task;
    std::size_t indent;
  };
  std::vector<line> open;
  for (std::size_t i = tasks.size(); i-- > 0;) {
    const auto parent = index_of.find(tasks[i].parent);
    if (parent == index_of.end()) {
      open.push_back({i, 0});
    } else {
      children[parent->second].push_back(i);
    }
  }
  std::string text;
  while (!open.empty()) {
    const line next = open.back();
    open.pop_back();
    append_line(text.append(2 * next.indent, ' '), tasks[next.task]);
    text += '\n';
    for (const std::size_t child : children[next.task]) open.push_back({child, next.indent + 1});
  }
  return text;
}

std::string to_json(std::span<const task_info> tasks) {
  std::string text = "[";
  for (const task_info& each : tasks) {
    if (text.size() > 1) text += ',';
    append_object(text, each);
  }
  return text + ']';
}

}  // namespace uring6::inline v0
