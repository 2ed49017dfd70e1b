#!/usr/bin/env bash
# On the GPU machine, in the project's root: is what it computes right, and how fast is it?
#     bash .gpu/checks.sh [tests] [training] [upscaling] [batch] [vulkan] [photographs]
# tests: updates as a CUDA graph against kernel by kernel, and against the CPU. training: updates a second, with and without a graph,
# for patches of 48 and of 64. upscaling: equality with the CPU, speed beside the card's own peak (benchmarks/device.py), at most
# $UPSCALING seconds (75). batch: from a command to its picture, and how busy a folder of pictures keeps the card. vulkan: the same card
# that way. All of these: about four minutes. photographs: nothing, but those of this call stay there for the next.
set -uo pipefail
gpu=$(cd -- "$(dirname -- "$0")" && pwd); . "$gpu/setup.sh"
[ $# -gt 0 ] || set -- tests training upscaling batch vulkan
for part; do
  echo "== $part, $(date +%T)"
  case $part in
    tests) timeout 75 "$python" -m pytest -q -p no:cacheprovider -p no:benchmark -n "${TESTERS:-8}" -rs tests/training/test_updater.py tests/inference/engines/torch/test_graphs.py tests/inference/engines/torch/test_steady.py tests/inference/engines/torch/test_fused.py tests/training/test_feed.py ;;
    training)
      for patch in ${PATCHES:-48 64}; do
        networks=x2; [ "$patch" = 48 ] || networks="x2 x4"
        # shellcheck disable=SC2086
        timeout 60 "$python" benchmarks/training.py --formats bf16 --seconds "${SECONDS_EACH:-1.5}" --rounds 1 --batch "${BATCH:-16}" --patch "$patch" --networks $networks
      done ;;
    upscaling)
      timeout 120 "$python" benchmarks/device.py --seconds "${UPSCALING:-75}" ${DEVICE:+--device "$DEVICE" --small}
      timeout 30 "$python" benchmarks/device.py --profile ${DEVICE:+--device "$DEVICE" --small} 2>&1 | cut -c1-62,100-230 ;;
    vulkan)
      # A loader of Vulkan, and what an NVIDIA driver wants besides.
      for deb in "$gpu"/debs/*.deb; do [ ! -f "$deb" ] || dpkg -x "$deb" "$work/debs"; done
      driver=/usr/local/nvidia/share/vulkan/icd.d/nvidia_icd.json
      (
        export LD_LIBRARY_PATH=$work/debs/usr/lib/x86_64-linux-gnu${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
        [ ! -f "$driver" ] || [ -n "${VK_DRIVER_FILES:-}" ] || export VK_DRIVER_FILES=$driver
        "$python" -m edsr_cli devices
        timeout 45 "$python" "$gpu/vulkan.py" ${VULKAN:+--device "$VULKAN" --side 128}
      ) ;;
    batch)
      for try in first second; do
        begin=$(date +%s.%N)
        (cd "$work/tree" && "$python" -m edsr_cli upscale "$OLDPWD/examples/cat.png" --scale 4 -o "$work/cat.png" --overwrite)
        awk -v a="$begin" -v b="$(date +%s.%N)" -v t="$try" 'BEGIN {printf "the %s time: %.2f s\n", t, b - a}'
      done
      "$python" "$gpu/mosaics.py" "$work/photos" "$work/mosaics" "${PICTURES:-24}" "${SIZE:-1728x1152}"
      here=$PWD
      cd "$work/tree" || exit 1 # where all weights are
      PYTHONPATH=$PYTHONPATH:$here timeout 75 "$python" -m benchmarks.batch "$work/mosaics" --pictures "${PICTURES:-24}" --size "${SIZE:-1728x1152}" --rounds 1 --loop 1
      cd "$here" || exit 1 ;;
    photographs) ;;
    *) echo "no such part: $part" >&2; exit 2 ;;
  esac
done
