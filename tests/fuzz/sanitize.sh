#!/bin/sh
# The tests of what is compiled, and the fuzzing corpora, with the native transcoder and JSON converter under AddressSanitizer and
# UndefinedBehaviorSanitizer. Usage: sanitize.sh PYTHON
# The instrumented build lives in build/sanitize: the one in use is left alone.
set -eu
python=$1
command -v clang >/dev/null || { echo "the sanitizers need clang and its runtime (Debian: clang, libclang-rt-dev)" >&2; exit 1; }

tests/fuzz/fuzz.sh "$python" 0
tests/fuzz/fuzz_json.sh "$python" 0

out=build/sanitize
rm -rf "$out"
CC=clang LDSHARED="clang -shared" OTLP_MONGO_BUILD_CFLAGS="-g -O1 -w -fno-omit-frame-pointer -shared-libasan \
  -fsanitize=address,undefined -fno-sanitize-recover=undefined" \
  "$python" setup.py --quiet build --force --build-base "$out" --build-lib "$out/lib"

# Python itself is not instrumented: the runtime has to be there before it, and what Python never frees is no leak of ours.
# -P keeps the working folder, and the packages in it, from going before the instrumented ones.
LD_PRELOAD=$(clang -print-file-name="libclang_rt.asan-$(uname -m).so")
ASAN_OPTIONS=detect_leaks=0:abort_on_error=1
UBSAN_OPTIONS=print_stacktrace=1
PYTHONMALLOC=malloc
PYTHONPATH=$out/lib:.
export LD_PRELOAD ASAN_OPTIONS UBSAN_OPTIONS PYTHONMALLOC PYTHONPATH
"$python" -P -c "
import exporter.transcode.native._transcoder, receiver.otlp_json.native._converter
for built in exporter.transcode.native._transcoder, receiver.otlp_json.native._converter:
    assert '/sanitize/' in built.__file__, built.__file__"
# `-o pythonpath=`: the project's setting would put the working folder first again.
exec "$python" -P -m pytest -q -o pythonpath= --timeout 600 -n 2 tests/exporter/transcode tests/receiver/otlp_json
