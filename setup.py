"""The compiled transcoder and JSON writer. Everything else about the distribution is in pyproject.toml.

A build without a C compiler goes through, loudly, and pure Python does the work: OTLP_MONGO_BUILD_REQUIRE_NATIVE=1
makes it fail instead, for wheels and images. OTLP_MONGO_BUILD_CFLAGS adds flags for compiler and linker, as the
sanitizers need.
"""

import os
import shlex

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import BaseError, CCompilerError

NATIVE = "exporter/transcode/native"
FLAGS = shlex.split(os.environ.get("OTLP_MONGO_BUILD_CFLAGS", ""))
REQUIRED = os.environ.get("OTLP_MONGO_BUILD_REQUIRE_NATIVE", "") == "1"


class BuildOrSay(build_ext):
    """Says what it means that an extension was not built; whether that is an error, setuptools decides."""

    def build_extension(self, ext: Extension) -> None:
        try:
            super().build_extension(ext)
        except (BaseError, CCompilerError):
            if ext.optional:
                self.warn(
                    f"{ext.name} IS NOT BUILT: pure Python will do its work, for many times the CPU time. "
                    "To have it, install a C compiler, then otlp-mongo again."
                )
            raise


extension = Extension(
    "exporter.transcode.native._transcoder",
    [f"{NATIVE}/_transcoder.pyx"],
    include_dirs=[NATIVE],
    depends=[f"{NATIVE}/text.h", f"{NATIVE}/schema.h"],
    # gcc cannot see that a field is set to what its tag says, and asks for a zero in each.
    extra_compile_args=["-O3", "-Wno-maybe-uninitialized", *FLAGS],
    extra_link_args=FLAGS,
)
json_writer = Extension(
    "receiver.otlp_json._native",
    ["receiver/otlp_json/_native.pyx"],
    extra_compile_args=["-O3", *FLAGS],
    extra_link_args=FLAGS,
)
# Python's own checks are off in code whose every index and division is checked by hand, or is not Python's at all.
directives = {
    "language_level": 3,
    "boundscheck": False,
    "wraparound": False,
    "cdivision": True,
    "initializedcheck": False,
}

extensions = cythonize([extension, json_writer], build_dir="build/cython", compiler_directives=directives)
for cythonized in extensions:
    cythonized.optional = not REQUIRED  # cythonize does not pass it on

setup(ext_modules=extensions, cmdclass={"build_ext": BuildOrSay})
