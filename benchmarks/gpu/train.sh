#!/usr/bin/env bash
# On the GPU machine, in the project's root: trains the bundled models further, one after the other, from the bundled weights:
#     free    edsr-free x2, x3 and x4, side by side
#     photo   edsr-photo x2, x3 and x4, side by side, each from the new edsr-free
#     mdsr    mdsr-free, from the new edsr-free
# and puts weights and logs into $OUT as soon as they are there.
#     bash .gpu/train.sh MINUTES [more options of edsr train]
# MINUTES of training in all: half for free, three tenths for photo, a fifth for mdsr; reading pictures and starting up come on top
# (half a minute for each). PARTS="free" has all of them for one; SCALES="2 4" leaves scales out. Options after MINUTES count for all.
set -uo pipefail
[ $# -ge 1 ] || { sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 2; }
gpu=$(cd -- "$(dirname -- "$0")" && pwd); . "$gpu/setup.sh"
minutes=$1; shift
parts=${PARTS:-free photo mdsr} scales=${SCALES:-2 3 4}
out=${OUT:-$work/out}; mkdir -p "$out"
cd "$work/tree" || exit 1

shares=0
share() { case $1 in free) echo 5 ;; photo) echo 3 ;; mdsr) echo 2 ;; *) echo "no such part: $1" >&2; exit 2 ;; esac; }
for part in $parts; do each=$(share "$part") || exit 2; shares=$((shares + each)); done
seconds() { awk -v m="$minutes" -v a="$(share "$1")" -v b="$shares" 'BEGIN {printf "%.1f", m * 60 * a / b}'; }

# start RUN NAME SECONDS OPTIONS: a training in the background; later options replace earlier ones.
start() {
  local run=$1 name=$2 time=$3; shift 3
  "$python" -m edsr_cli train "$work/photos" -o "$work/runs/$run" --name "$name" --licence CC0-1.0 \
      --origin "Trained by the edsr contributors on freely licensed photographs" --max-time "${time}s" --cache "$work/cache" \
      --batch 16 --lr 4e-4 --betas 0.9,0.99 --warmup 500 --schedule cosine --ema 0.999 --autocast bf16 \
      --validate "$gpu/benchmarks/Set5" --validate-every 10000 --overwrite "$@" > "$work/runs/$run.txt" 2>&1 &
}

# finish RUN...: wait for trainings, and keep what came of them.
finish() {
  sleep "${PEEP:-40}"; for run; do echo "$run: $(tail -n 1 "$work/runs/$run.txt")"; done
  wait
  for run; do
    echo "== $run"; tail -n 4 "$work/runs/$run.txt"; tail -n 1 "$work/runs/$run/log.csv"
    cp "$work/runs/$run/weights.safetensors" "$out/$run.safetensors"
  done
  # One archive, as only a few files may come back.
  tar czf "$out/logs.tar.gz" -C "$work/runs" --exclude '*.pt' --exclude '*.safetensors' --exclude '*.lock' .
}

for part in $parts; do
  echo "== $part: $(seconds "$part") s, $(date +%T)"
  runs=()
  case $part in
    free | photo)
      options=(--init edsr-free)
      if [ "$part" = photo ]; then
        # An 8 x 8 block of JPEG needs room; gently, as there is something to forget.
        options+=(--degrade photo --patch 64 --lr 1e-4)
        help=$("$python" -m edsr_cli train --help)
        case $help in *--degrade*) ;; *) echo "this program cannot degrade pictures yet: left out"; continue ;; esac
      fi
      for scale in $scales; do
        runs+=("edsr-$part-x$scale")
        start "edsr-$part-x$scale" "edsr-$part" "$(seconds "$part")" -s "$scale" "${options[@]}" "$@"
      done ;;
    mdsr)
      runs+=(mdsr-free)
      start mdsr-free mdsr-free "$(seconds mdsr)" -p mdsr-baseline --init edsr-free "$@" ;;
  esac
  finish "${runs[@]}"
  if [ "$part" = free ]; then
    for run in "${runs[@]}"; do [ ! -f "$out/$run.safetensors" ] || "$python" "$gpu/adopt.py" . "$out/$run.safetensors"; done
  fi
done
