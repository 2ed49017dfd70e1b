# Sourced on the GPU machine, with $gpu, the folder of these scripts: Python packages, a copy of the
# program whose weights may be replaced, photographs of this and earlier calls, a look at the card.
python=${PYTHON:-python3}
work=${EDSR_WORK:-${TMPDIR:-/tmp}/edsr-gpu}
mkdir -p "$work/site" "$work/photos" "$work/runs"
rm -rf "$work/tree" && mkdir "$work/tree" && cp -r edsr_cli weights "$work/tree/" || exit 1
# Weights that were left out of the working tree for want of room, of this call or an earlier one.
mkdir -p "$work/weights" && cp "$gpu"/weights/*.safetensors "$work/weights/" 2>/dev/null
cp -n "$work"/weights/*.safetensors "$work/tree/weights/" 2>/dev/null || true
export PYTHONUNBUFFERED=1 PYTHONPATH=$work/site:$work/tree OMP_NUM_THREADS=${OMP_NUM_THREADS:-4}
"$python" -c 'import psutil, watchfiles, simplejpeg, msgspec, ncnn' 2>/dev/null || "$python" -m pip install -q --no-index --no-deps --no-compile --no-cache-dir \
    --upgrade --target "$work/site" "$gpu"/wheels/*.whl || exit 1
cp "$gpu"/photos/* "$work/photos/" 2>/dev/null || true
nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader 2>/dev/null || echo "no NVIDIA card"
(cd "$work/tree" && "$python" -m edsr_cli --version) || exit 1
echo "$(find "$work/photos" -type f | wc -l) photographs"
