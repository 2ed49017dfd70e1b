#!/usr/bin/env bash
# On the GPU machine, in the project's root: is what it computes right, and how fast is it?
#     bash .gpu/checks.sh [tests] [training] [upscaling]
# tests: updates as a CUDA graph against kernel by kernel, and against the CPU. training: updates a second, with and without a graph,
# for batches of 16 and of 32. upscaling: equality with the CPU, speed beside the card's own peak (benchmarks/device.py), at most
# $UPSCALING seconds (150). All of them: about five minutes.
set -uo pipefail
gpu=$(cd -- "$(dirname -- "$0")" && pwd); . "$gpu/setup.sh"
[ $# -gt 0 ] || set -- tests training upscaling
for part; do
  echo "== $part"
  case $part in
    tests) timeout 150 "$python" -m pytest -q -p no:cacheprovider -rs tests/training/test_updater.py tests/inference/engines/torch/test_graphs.py tests/inference/engines/torch/test_steady.py tests/training/test_feed.py ;;
    training)
      for batch in ${BATCHES:-16 32}; do
        timeout 120 "$python" benchmarks/training.py --formats bf16 --seconds "${SECONDS_EACH:-2}" --rounds 1 --batch "$batch" --patch "${PATCH:-48}"
      done ;;
    upscaling) timeout 180 "$python" benchmarks/device.py --seconds "${UPSCALING:-150}" ;;
    *) echo "no such part: $part" >&2; exit 2 ;;
  esac
done
