#!/usr/bin/env bash
# On the GPU machine, in the project's root: trains the bundled models further, from the bundled weights, in two rounds:
#     free        edsr-free x2, x3 and x4, side by side, x3 and x4 from mdsr-free, which was better than they were
#     photo       edsr-photo x2, x3 and x4 from the new edsr-free; mdsr is another round, or photo+mdsr both
# and puts weights and logs into $OUT as soon as they are there.
#     bash .gpu/train.sh MINUTES [options of together.py]
# MINUTES of training in all; reading pictures and starting up come on top (a minute for both rounds). ROUNDS="free" has all of them
# for one; SCALES="2 4" leaves scales out.
set -uo pipefail
[ $# -ge 1 ] || { sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 2; }
gpu=$(cd -- "$(dirname -- "$0")" && pwd); . "$gpu/setup.sh"
minutes=$1; shift
rounds=${ROUNDS:-free photo} scales=${SCALES:-2 3 4} patch=${PATCH:-64}
out=${OUT:-$work/out}; mkdir -p "$out"
cd "$work/tree" || exit 1

share() { # what a round gets of the minutes
  local part sum=0
  for part in ${1//+/ }; do
    case $part in free) sum=$((sum + ${FREE:-5})) ;; photo) sum=$((sum + 5)) ;; mdsr) sum=$((sum + 2)) ;; *) echo "no such part: $part" >&2; exit 2 ;; esac
  done
  echo "$sum"
}
shares=0
for round in $rounds; do each=$(share "$round") || exit 2; shares=$((shares + each)); done
seconds() { awk -v m="$minutes" -v a="$(share "$1")" -v b="$shares" 'BEGIN {printf "%.1f", m * 60 * a / b}'; }

# Pictures are read ahead, for all rounds at once.
"$python" "$gpu/caches.py" "$work/photos" "$work/cache" "$patch" $scales > "$work/caches.txt" 2>&1
tail -n 3 "$work/caches.txt"
for round in $rounds; do
  echo "== $round: $(seconds "$round") s, $(date +%T)"
  runs=()
  for part in ${round//+/ }; do
    case $part in mdsr) runs+=(mdsr) ;; *) for scale in $scales; do runs+=("$part:$scale"); done ;; esac
  done
  "$python" "$gpu/together.py" "$work/photos" "$gpu/benchmarks/Set5" "$work/runs" "$(seconds "$round")" "${runs[@]}" \
      --patch "$patch" --cache "$work/cache" "$@" 2>&1 | tee "$work/runs/$round.txt"
  nvidia-smi --query-gpu=utilization.gpu,power.draw,clocks.sm,memory.used --format=csv,noheader 2>/dev/null
  for run in "$work"/runs/*/; do
    run=$(basename "$run")
    [ -f "$work/runs/$run/weights.safetensors" ] && [ ! -f "$out/$run.safetensors" ] || continue
    cp "$work/runs/$run/weights.safetensors" "$out/$run.safetensors"
    [ "$round" != free ] || "$python" "$gpu/adopt.py" . "$out/$run.safetensors"
  done
  # One archive, as only a few files may come back.
  tar czf "$out/logs.tar.gz" -C "$work/runs" --exclude '*.pt' --exclude '*.safetensors' --exclude '*.lock' .
done
date +%T
