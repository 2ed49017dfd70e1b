#!/usr/bin/env bash
# On the GPU machine, in the project's root: trains the bundled models further, from the bundled weights, in rounds, and puts weights and
# logs into $OUT as soon as they are there.
#     bash .gpu/train.sh MINUTES [options of together.py]
# MINUTES of training in all; reading pictures and starting up come on top (half a minute a round). PLAN has the rounds: trainings side by
# side, as together.py names them, and what part of the minutes they get. By default
#     mdsr+free:2=6            mdsr-free, and edsr-free x2
#     derived:3+derived:4=0    edsr-free x3 and x4, as what the new mdsr-free has for them
#     photo:2+photo:3+photo:4=4    edsr-photo, from the new edsr-free
set -uo pipefail
[ $# -ge 1 ] || { sed -n '2,10s/^# \{0,1\}//p' "$0"; exit 2; }
gpu=$(cd -- "$(dirname -- "$0")" && pwd); . "$gpu/setup.sh"
minutes=$1; shift
plan=${PLAN:-mdsr+free:2=6 derived:3+derived:4=0 photo:2+photo:3+photo:4=4} patch=${PATCH:-64}
out=${OUT:-$work/out}; mkdir -p "$out"
cd "$work/tree" || exit 1
shares=0
for round in $plan; do shares=$((shares + ${round##*=})); done

# Pictures are read ahead, for all rounds at once.
"$python" "$gpu/caches.py" "$work/photos" "$work/cache" "$patch" "$plan" > "$work/caches.txt" 2>&1
cat "$work/caches.txt"
for round in $plan; do
  runs=${round%=*}
  seconds=$(awk -v m="$minutes" -v a="${round##*=}" -v b="$shares" 'BEGIN {printf "%.1f", m * 60 * a / b}')
  echo "== $runs: $seconds s, $(date +%T)"
  # shellcheck disable=SC2086
  "$python" "$gpu/together.py" "$work/photos" "$gpu/benchmarks/Set5" "$work/runs" "$seconds" ${runs//+/ } \
      --patch "$patch" --cache "$work/cache" "$@" 2>&1 | tee "$work/runs/$runs.txt"
  nvidia-smi --query-gpu=utilization.gpu,power.draw,clocks.sm,memory.used --format=csv,noheader 2>/dev/null
  for run in "$work"/runs/*/; do
    run=$(basename "$run")
    [ -f "$work/runs/$run/weights.safetensors" ] && [ ! -f "$out/$run.safetensors" ] || continue
    cp "$work/runs/$run/weights.safetensors" "$out/$run.safetensors"
    # Later rounds begin with it; what was left out of the working tree, nobody begins with.
    [ ! -f "weights/$run.safetensors" ] || "$python" "$gpu/adopt.py" . "$out/$run.safetensors"
  done
  # One archive, as only a few files may come back.
  tar czf "$out/logs.tar.gz" -C "$work/runs" --exclude '*.pt' --exclude '*.safetensors' --exclude '*.lock' .
done
date +%T
