"""uring6 for Conan 2: built by Meson, with the dependencies of ConanCenter."""

import os

from conan import ConanFile
from conan.errors import ConanInvalidConfiguration
from conan.tools.build import check_min_cppstd
from conan.tools.files import copy, get, rmdir
from conan.tools.gnu import PkgConfigDeps
from conan.tools.layout import basic_layout
from conan.tools.meson import Meson, MesonToolchain
from conan.tools.scm import Version

required_conan_version = ">=2.0"

OLDEST = {"gcc": "12", "clang": "16"}


class Uring6Conan(ConanFile):
    name = "uring6"
    description = "C++20 coroutine networking for Linux: UDP with IPv6 control messages, and TCP, over io_uring"
    license = "MIT"
    homepage = "@HOMEPAGE@"
    topics = ("io_uring", "ipv6", "udp", "coroutines", "multicast")
    package_type = "library"
    settings = "os", "arch", "compiler", "build_type"
    options = {"shared": [True, False], "fPIC": [True, False]}
    default_options = {"shared": False, "fPIC": True}
    implements = ["auto_shared_fpic"]

    def layout(self):
        basic_layout(self, src_folder="src")

    def requirements(self):
        # Its headers include fmt's.
        self.requires("fmt/[>=9 <12]", transitive_headers=True, transitive_libs=True)
        self.requires("liburing/[>=2.3 <3]", transitive_headers=True)
        self.requires("libmnl/[>=1.0.4 <2]")

    def build_requirements(self):
        self.tool_requires("meson/[>=1.0 <2]")
        if not self.conf.get("tools.gnu:pkg_config", check_type=str):
            self.tool_requires("pkgconf/[>=1.9 <3]")

    def validate(self):
        if self.settings.os != "Linux":
            raise ConanInvalidConfiguration("uring6 is for Linux: it is made of io_uring")
        check_min_cppstd(self, 20)
        oldest = OLDEST.get(str(self.settings.compiler))
        if oldest and Version(self.settings.compiler.version) < oldest:
            raise ConanInvalidConfiguration(f"uring6 needs {self.settings.compiler} {oldest} or later")

    def source(self):
        get(self, **self.conan_data["sources"][self.version], strip_root=True)

    def generate(self):
        toolchain = MesonToolchain(self)
        for part in ("tests", "tools", "bench"):
            toolchain.project_options[part] = "disabled"
        toolchain.generate()
        PkgConfigDeps(self).generate()

    def build(self):
        meson = Meson(self)
        meson.configure()
        meson.build()

    def package(self):
        copy(self, "LICENSE", self.source_folder, os.path.join(self.package_folder, "licenses"))
        Meson(self).install()
        # Conan writes files of its own for pkg-config and CMake.
        for folder in ("lib/pkgconfig", "lib/cmake", "lib/cps", "share"):
            rmdir(self, os.path.join(self.package_folder, folder))

    def package_info(self):
        self.cpp_info.libs = ["uring6"]
        self.cpp_info.system_libs = ["pthread"]
        self.cpp_info.set_property("cmake_file_name", "uring6")
        self.cpp_info.set_property("cmake_target_name", "uring6::uring6")
        self.cpp_info.set_property("pkg_config_name", "uring6")
