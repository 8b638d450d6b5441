#!/usr/bin/env bash
# Builds the native library with AddressSanitizer and UndefinedBehaviorSanitizer, and runs its kernels on arrays of
# exactly their size (sanitize.py): on each instruction set of this machine, with one thread and with three.
#
#     tests/native/sanitize.sh [folder for the build, kept]
#
# PYTHON names the interpreter: one that has the group `test`, and cmake, ninja and nanobind.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
python=${PYTHON:-$root/.venv/bin/python}
if [ $# -gt 0 ]; then
    mkdir -p "$1"
    build=$(cd "$1" && pwd)
else
    build=$(mktemp -d)
    trap 'rm -rf "$build"' EXIT
fi

export PATH="$(dirname "$python"):$PATH"
cmake -S "$root" -B "$build" -G Ninja -DSKBUILD=1 -DMOCHA_SANITIZE=ON -DPython_EXECUTABLE="$python" \
    -Dnanobind_DIR="$("$python" -m nanobind --cmake_dir)" >"$build/cmake.log" || { cat "$build/cmake.log"; exit 1; }
cmake --build "$build"

# Python itself is not instrumented: the runtime has to be there first, and what Python never frees is no leak of ours.
export LD_PRELOAD=$(${CXX:-g++} -print-file-name=libasan.so)
export ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 PYTHONPATH="$root/src:$root"
"$python" "$root/tests/native/sanitize.py" "$build"/_native.*.so
"$python" "$root/tests/native/sanitize.py" --guarded "$build"/_native.*.so
