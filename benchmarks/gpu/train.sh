#!/usr/bin/env bash
# On the GPU machine, in the project's root: trains the bundled models further, from the bundled weights, in two rounds:
#     free        edsr-free x2, x3 and x4, side by side, x3 and x4 from mdsr-free, which was better than they were
#     photo+mdsr  edsr-photo x2, x3 and x4 and mdsr-free, side by side, from the new edsr-free
# and puts weights and logs into $OUT as soon as they are there.
#     bash .gpu/train.sh MINUTES [more options of edsr train]
# MINUTES of training in all; reading pictures and starting up come on top (a minute for both rounds). ROUNDS="free" has all of them
# for one; SCALES="2 4" leaves scales out. Options after MINUTES count for all.
set -uo pipefail
[ $# -ge 1 ] || { sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 2; }
gpu=$(cd -- "$(dirname -- "$0")" && pwd); . "$gpu/setup.sh"
minutes=$1; shift
rounds=${ROUNDS:-free photo+mdsr} scales=${SCALES:-2 3 4} patch=${PATCH:-64}
out=${OUT:-$work/out}; mkdir -p "$out"
cd "$work/tree" || exit 1

share() { # what a round gets of the minutes
  local part sum=0
  for part in ${1//+/ }; do
    case $part in free) sum=$((sum + 5)) ;; photo) sum=$((sum + 4)) ;; mdsr) sum=$((sum + 2)) ;; *) echo "no such part: $part" >&2; exit 2 ;; esac
  done
  echo "$sum"
}
shares=0
for round in $rounds; do each=$(share "$round") || exit 2; shares=$((shares + each)); done
seconds() { awk -v m="$minutes" -v a="$(share "$1")" -v b="$shares" 'BEGIN {printf "%.1f", m * 60 * a / b}'; }

# start RUN NAME OPTIONS: a training in the background; later options replace earlier ones.
start() {
  local run=$1 name=$2; shift 2
  "$python" -m edsr_cli train "$work/photos" -o "$work/runs/$run" --name "$name" --licence CC0-1.0 \
      --origin "Trained by the edsr contributors on freely licensed photographs" --cache "$work/cache" --patch "$patch" \
      --batch 16 --lr 4e-4 --betas 0.9,0.99 --warmup 500 --schedule cosine --ema 0.999 --autocast bf16 \
      --validate "$gpu/benchmarks/Set5" --validate-every 10000 --overwrite "$@" > "$work/runs/$run.txt" 2>&1 &
}

# begin PART OPTIONS: its trainings; their names are added to `runs`.
begin() {
  local part=$1 scale; shift
  if [ "$part" = mdsr ]; then
    start mdsr-free mdsr-free -p mdsr-baseline --init edsr-free "$@"; runs+=(mdsr-free)
    return
  fi
  for scale in $scales; do
    local options=(-s "$scale" --init edsr-free)
    # Gently, as there is something to forget.
    [ "$part" != photo ] || options+=(--degrade photo --lr 2e-4 --warmup 300)
    case $part$scale in free3 | free4) options+=(--init mdsr-free) ;; esac
    start "edsr-$part-x$scale" "edsr-$part" "${options[@]}" "$@"; runs+=("edsr-$part-x$scale")
  done
}

# finish RUN...: wait for trainings, and keep what came of them.
finish() {
  sleep "${PEEP:-40}"; for run; do echo "$run: $(tail -n 1 "$work/runs/$run.txt")"; done
  nvidia-smi --query-gpu=utilization.gpu,power.draw,clocks.sm,memory.used --format=csv,noheader 2>/dev/null
  wait
  for run; do
    echo "== $run"; tail -n 4 "$work/runs/$run.txt"; sed -n 2p "$work/runs/$run/log.csv"; tail -n 1 "$work/runs/$run/log.csv"
    cp "$work/runs/$run/weights.safetensors" "$out/$run.safetensors"
  done
  # One archive, as only a few files may come back.
  tar czf "$out/logs.tar.gz" -C "$work/runs" --exclude '*.pt' --exclude '*.safetensors' --exclude '*.lock' .
}

for round in $rounds; do
  echo "== $round: $(seconds "$round") s, $(date +%T)"
  runs=()
  for part in ${round//+/ }; do begin "$part" --max-time "$(seconds "$round")s" "$@"; done
  case $round in free) "$python" "$gpu/caches.py" "$work/photos" "$work/cache" "$patch" > "$work/caches.txt" 2>&1 & ;; esac
  finish "${runs[@]}"
  if [ "$round" = free ]; then
    for run in "${runs[@]}"; do [ ! -f "$out/$run.safetensors" ] || "$python" "$gpu/adopt.py" . "$out/$run.safetensors"; done
  fi
done
date +%T
