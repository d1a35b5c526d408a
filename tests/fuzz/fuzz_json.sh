#!/bin/sh
# Fuzz the native JSON converter alone, with libFuzzer, AddressSanitizer and UndefinedBehaviorSanitizer.
# Usage: fuzz_json.sh PYTHON SECONDS [OPTION...]   (0 seconds: run the corpus once)
# Works from tests/fuzz/corpus-json; what it finds beyond stays under build/fuzz, a crash as build/fuzz/json-crash-*.
set -eu
python=$1 seconds=$2
shift 2
command -v clang >/dev/null || { echo "fuzzing needs clang and its runtime (Debian: clang, libclang-rt-dev)" >&2; exit 1; }

out=build/fuzz
mkdir -p "$out/json-found"
"$python" -m tests.fuzz.json_tables "$out"
"$python" -m cython -3 -I . -X boundscheck=False -X wraparound=False -X cdivision=True \
  tests/fuzz/json_core.pyx -o "$out/json_core.c"
include=$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')
lib=$("$python" -c 'import sysconfig; print(sysconfig.get_config_var("LIBDIR"))')
name=$("$python" -c 'import sysconfig; print("python" + sysconfig.get_config_var("LDVERSION"))')
# The module's Python side is linked, but never runs. Warnings are for the build without a fuzzer.
clang -g -O2 -w -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined -I receiver/otlp_json/native \
  -I "$out" -I "$include" "$out/json_core.c" -L "$lib" "-l$name" "-Wl,-rpath,$lib" -o "$out/json_core"

if [ "$seconds" = 0 ]; then
  exec "$out/json_core" -runs=0 "$@" tests/fuzz/corpus-json
fi
exec "$out/json_core" -max_total_time="$seconds" -max_len=2048 -dict="$out/json.dict" -print_final_stats=1 \
  -artifact_prefix="$out/json-" "$@" "$out/json-found" tests/fuzz/corpus-json
