#!/bin/sh
# Fuzz the native transcoder alone, with libFuzzer, AddressSanitizer and UndefinedBehaviorSanitizer.
# Usage: fuzz.sh PYTHON SECONDS [OPTION...]   (0 seconds: run the corpus once)
# Works from tests/fuzz/corpus; what it finds beyond stays under build/fuzz, a crash as build/fuzz/crash-*.
set -eu
python=$1 seconds=$2
shift 2
command -v clang >/dev/null || { echo "fuzzing needs clang and its runtime (Debian: clang, libclang-rt-dev)" >&2; exit 1; }

out=build/fuzz
mkdir -p "$out/found"
"$python" -m cython -3 -I . -X boundscheck=False -X wraparound=False -X cdivision=True \
  tests/fuzz/native_core.pyx -o "$out/native_core.c"
include=$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')
lib=$("$python" -c 'import sysconfig; print(sysconfig.get_config_var("LIBDIR"))')
name=$("$python" -c 'import sysconfig; print("python" + sysconfig.get_config_var("LDVERSION"))')
# The module's Python side is linked, but never runs. Warnings are for the build without a fuzzer.
clang -g -O2 -w -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined \
  -Wl,--wrap=realloc,--wrap=calloc \
  -I exporter/transcode/native -I "$include" "$out/native_core.c" -L "$lib" "-l$name" "-Wl,-rpath,$lib" -o "$out/native_core"

if [ "$seconds" = 0 ]; then
  exec "$out/native_core" -runs=0 "$@" tests/fuzz/corpus
fi
exec "$out/native_core" -max_total_time="$seconds" -max_len=4096 -print_final_stats=1 -artifact_prefix="$out/" "$@" \
  "$out/found" tests/fuzz/corpus
