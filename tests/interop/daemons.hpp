// Common daemons, started with files, a bus and a network of the test's own: they do not reach the machine's daemons,
// and leave nothing behind.
#pragma once

#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <list>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "support/case/eventually.hpp"
#include "support/machine/private_files.hpp"
#include "support/machine/veth_pair.hpp"
#include "support/process/program.hpp"

namespace uring6::test {

/// The path of an installed program, also in an administrator's directories, which may be missing in PATH. Skips the
/// test if it is not installed.
inline std::string installed(const std::string& name) {
  const char* path = std::getenv("PATH");
  std::istringstream directories(std::string(path ? path : "") + ":/usr/sbin:/sbin");
  std::string found;
  for (std::string directory; found.empty() && std::getline(directories, directory, ':');) {
    if (::access((directory + "/" + name).c_str(), X_OK) == 0) found = directory + "/" + name;
  }
  if (found.empty()) SKIP(name + " is not installed");
  return found;
}

/// A directory that the destructor removes.
class scratch_directory {
 public:
  scratch_directory() {
    std::string name = "/tmp/uring6-daemons-XXXXXX";
    if (!::mkdtemp(name.data())) throw std::system_error(errno, std::system_category(), name);
    path_ = name;
  }
  scratch_directory(const scratch_directory&) = delete;
  scratch_directory& operator=(const scratch_directory&) = delete;
  ~scratch_directory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  std::string path(std::string_view name) const { return path_ + "/" + std::string(name); }
  /// Writes a file. Returns its path.
  std::string write(std::string_view name, std::string_view text) const {
    std::ofstream(path(name)) << text;
    return path(name);
  }

 private:
  std::string path_;
};

/// avahi-daemon at one end of a cable, with a message bus of its own. Its name there is asker.local.
class avahi {
 public:
  explicit avahi(const veth_end& end) : resolve_(installed("avahi-resolve")) {
    const std::string bus_daemon = installed("dbus-daemon");
    const std::string daemon = installed("avahi-daemon");
    if (!can_have_private_files()) SKIP(no_private_files);
    if (!has_many_users()) SKIP("avahi-daemon gives its directory to the user avahi, which needs root");
    const auto inside = end.space.enter();
    bus_.emplace_back(std::vector<std::string>{bus_daemon, "--nofork", "--nopidfile",
                                               "--config-file=" + files_.write("bus.conf", bus_configuration())});
    REQUIRE(eventually([&] { return std::filesystem::exists(files_.path("bus")); }));
    const std::string configuration = files_.write(
        "avahi.conf", "[server]\nhost-name=asker\nuse-ipv4=no\nallow-interfaces=" + end.link.name +
                          "\n[wide-area]\nenable-wide-area=no\n[publish]\ndisable-user-service-publishing=yes\n");
    // It keeps its socket and its process number in /run: a file system of the process's own replaces that.
    const auto prepare = [this] {
      enter_mount_namespace();
      if (::mount("none", "/run", "tmpfs", 0, nullptr) != 0)
        throw std::system_error(errno, std::system_category(), "/run");
      use_bus();
    };
    daemon_.emplace_back(std::vector<std::string>{daemon, "-f", configuration, "--no-drop-root", "--no-chroot",
                                                  "--no-rlimits", "--no-proc-title"},
                         program_settings{.prepare = prepare});
    // The daemon answers for its own name once it has probed for it.
    const bool there = eventually([&] { return !resolve("asker.local").output.empty(); }, std::chrono::seconds(30));
    REQUIRE(there);
  }

  /// avahi-resolve -6 -n NAME
  program_end resolve(const std::string& name) const {
    return run_program({resolve_, "-6", "-n", name}, {.prepare = [this] { use_bus(); }});
  }

 private:
  /// Whether there are more users than root of a user namespace.
  static bool has_many_users() {
    unsigned long first = 0, first_outside = 0, count = 0;
    std::ifstream("/proc/self/uid_map") >> first >> first_outside >> count;
    return count > 1;
  }

  std::string bus_configuration() const {
    return "<busconfig><listen>unix:path=" + files_.path("bus") +
           "</listen><auth>EXTERNAL</auth><policy context=\"default\"><allow send_destination=\"*\"/>"
           "<allow receive_sender=\"*\"/><allow own=\"*\"/><allow user=\"*\"/></policy></busconfig>";
  }

  void use_bus() const { ::setenv("DBUS_SYSTEM_BUS_ADDRESS", ("unix:path=" + files_.path("bus")).c_str(), 1); }

  scratch_directory files_;
  std::string resolve_;
  std::list<program> bus_;
  std::list<program> daemon_;  // ends before its bus
};

/// bird at one end of a cable, as a router that speaks OSPF for IPv6 there, with a hello a second.
class bird {
 public:
  explicit bird(const veth_end& end) : control_(installed("birdc")) {
    const std::string daemon = installed("bird");
    const std::string configuration =
        files_.write("bird.conf",
                     "router id 192.0.2.2;\nprotocol device { scan time 1; }\n"
                     "protocol ospf v3 beside { ipv6 { import none; export none; };\n area 0 { interface \"" +
                         end.link.name + "\" { type broadcast; hello 1; dead 4; }; };\n}\n");
    const auto inside = end.space.enter();
    daemon_.emplace_back(std::vector<std::string>{daemon, "-f", "-c", configuration, "-s", files_.path("control"), "-P",
                                                  files_.path("process")});
    REQUIRE(eventually([&] { return neighbors().find("beside:") != std::string::npos; }));
  }

  /// Its list of OSPF neighbors.
  std::string neighbors() const {
    return run_program({control_, "-s", files_.path("control"), "show", "ospf", "neighbors"}).output;
  }

 private:
  scratch_directory files_;
  std::string control_;
  std::list<program> daemon_;
};

}  // namespace uring6::test
