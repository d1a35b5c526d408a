"""The compiled transcoder and JSON converter. Everything else about the distribution is in pyproject.toml.

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
JSON = "receiver/otlp_json/native"
FLAGS = shlex.split(os.environ.get("OTLP_MONGO_BUILD_CFLAGS", ""))
REQUIRED = os.environ.get("OTLP_MONGO_BUILD_REQUIRE_NATIVE", "") == "1"
# gcc thinks the many small functions too many to put each into its callers, which is where the names of fields turn
# into constants: that is a fifth of the transcoder's time (docs/fast-path.md). Other compilers pass over these.
INLINE = ["--param", "max-inline-insns-single=600", "--param", "inline-unit-growth=300"]
# gcc cannot see that a field is set to what its tag or its kind says, and asks for a zero in each.
CFLAGS = ["-O3", "-Wno-maybe-uninitialized", *INLINE, *FLAGS]


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
    extra_compile_args=CFLAGS,
    extra_link_args=FLAGS,
)
json_converter = Extension(
    "receiver.otlp_json.native._converter",
    [f"{JSON}/_converter.pyx"],
    include_dirs=[JSON],
    depends=[f"{JSON}/text.h", f"{JSON}/numbers.h"],
    extra_compile_args=CFLAGS,
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

extensions = cythonize([extension, json_converter], build_dir="build/cython", compiler_directives=directives)
for cythonized in extensions:
    cythonized.optional = not REQUIRED  # cythonize does not pass it on

setup(ext_modules=extensions, cmdclass={"build_ext": BuildOrSay})
