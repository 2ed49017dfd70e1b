"""What other programs take for the same picture with the same weights, a process for each.

    python -m benchmarks.peers --size 512 --scale 4 --threads 1 --rounds 5

The weights are those of edsr-free. What is not installed is left out, and the table says why; none
of it is a dependency of this program. Processes start one after the other, upscale a small picture
first, and then the picture in turns, round by round; medians count. On a machine that others use,
too, processor time says more than the clock. Peak memory is the process's, with all that it has
imported. Every output is compared with that of the first line.
"""

import argparse
import io
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import numpy as np

from edsr_cli.checkpoints.checkpoint import Checkpoint
from edsr_cli.checkpoints.loader import load_network
from edsr_cli.model.config import upsampling_steps

Pixels = np.ndarray[Any, np.dtype[Any]]
Run = Callable[[Pixels], Pixels]

SHAVE, LARGEST_QUARTER = 10, 160_000  # EDSR-PyTorch's
CHOP, OVERLAP = 128, 10  # torchSR's; it has no default for the first


def edsr(weights: Checkpoint, scale: int, threads: int, engine: str) -> Run:
    """This program."""
    from edsr_cli.inference import Upscaler
    from edsr_cli.inference.engines import engine_for
    from edsr_cli.inference.processors import use_threads

    use_threads(threads)
    upscaler = Upscaler(weights, scale, "cpu", "fp32", engine=engine_for("cpu", "fp32", engine))
    return lambda pixels: upscaler.upscale(pixels).pixels


def plain(weights: Checkpoint, scale: int, threads: int, chop: bool = False) -> Run:
    """PyTorch's module on the whole picture; or in quarters, as EDSR-PyTorch does it."""
    import torch

    from edsr_cli.model.networks import network_of

    torch.set_num_threads(threads)
    network = network_of(weights.config, weights.tensors)
    if chop:
        return _with_torch(lambda x: in_quarters(network, x, scale))
    return _with_torch(network)


def in_quarters(network: Any, x: Any, scale: int) -> Any:
    """EDSR-PyTorch's `--chop`, written anew from what it does.

    (`forward_chop`, github.com/sanghyun-son/EDSR-PyTorch, src/model/__init__.py.) A picture is cut
    into quarters that reach 10 pixels over its middle; those are cut again while four of them have
    more than 640,000 pixels; of their outputs what lies beyond the middle is dropped.
    """
    height, width = x.shape[2:]
    output = x.new_empty(1, 3, scale * height, scale * width)
    for top, bottom in ((0, height // 2), (height // 2, height)):
        for left, right in ((0, width // 2), (width // 2, width)):
            y, z = max(0, top - SHAVE), max(0, left - SHAVE)
            part = x[:, :, y : bottom + SHAVE, z : right + SHAVE]
            if height * width < 4 * LARGEST_QUARTER:
                made = network(part)
            else:
                made = in_quarters(network, part, scale)
            output[:, :, scale * top : scale * bottom, scale * left : scale * right] = made[
                :,
                :,
                scale * (top - y) : scale * (bottom - y),
                scale * (left - z) : scale * (right - z),
            ]
    return output


def torchsr(weights: Checkpoint, scale: int, threads: int) -> Run:
    """The network and the tiles of torchSR."""
    _stand_in("torchvision", "torchvision.transforms", "torchvision.transforms.functional")
    import torch
    from torchsr.models import edsr_baseline
    from torchsr.models.utils import ChoppedModel

    torch.set_num_threads(threads)
    network = edsr_baseline(scale=scale, pretrained=False)
    network.load_state_dict(_torch_tensors(weights))
    chopped = ChoppedModel(network.eval(), scale, CHOP, OVERLAP)
    return _with_torch(lambda x: 255 * chopped(x / 255))


def super_image(weights: Checkpoint, scale: int, threads: int) -> Run:
    """super-image's network, on the whole picture, as it has no tiles."""
    _stand_in("torchvision", "torchvision.transforms", "h5py", "cv2")
    import torch
    from super_image import EdsrConfig, EdsrModel

    torch.set_num_threads(threads)
    network = EdsrModel(EdsrConfig(scale=scale)).eval()
    network.load_state_dict(_torch_tensors(weights))
    # It leaves the mean out, since its own weights have been trained so.
    return _with_torch(lambda x: network.add_mean(network(network.sub_mean(x))))


def onnx_runtime(weights: Checkpoint, scale: int, threads: int) -> Run:
    """ONNX Runtime on the whole picture."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        _onnx(weights), options, providers=["CPUExecutionProvider"]
    )
    return _with_arrays(lambda x: session.run(None, {"x": x})[0])


def openvino(weights: Checkpoint, scale: int, threads: int) -> Run:
    """OpenVINO on the whole picture, in fp32."""
    import openvino as ov

    settings = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
    core = ov.Core()
    model = core.compile_model(core.read_model(io.BytesIO(_onnx(weights))), "CPU", settings)
    return _with_arrays(lambda x: np.asarray(model([x])[0]))


def plain_ncnn(weights: Checkpoint, scale: int, threads: int) -> Run:
    """The whole picture in ncnn, as it comes."""
    import ncnn

    net = ncnn.Net()
    net.opt.num_threads = threads
    # Half floats are its default where the processor has them.
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    lines = list(ncnn_lines(weights, scale))
    with tempfile.TemporaryDirectory() as folder:
        text, numbers = Path(folder, "net.param"), Path(folder, "net.bin")
        blobs = sum(int(line.split()[3]) for line, _ in lines)
        layers = "\n".join(line for line, _ in lines)
        text.write_text(f"7767517\n{len(lines)} {blobs}\n{layers}\n")
        numbers.write_bytes(b"".join(_stored(weights, key) for _, key in lines if key))
        net.load_param(str(text))
        net.load_model(str(numbers))
    mean = weights.tensors["add_mean.bias"].reshape(3, 1, 1)

    def run(x: Any) -> Any:
        extractor = net.create_extractor()
        shifted = np.ascontiguousarray(x[0] - mean)  # which the matrix only looks at
        extractor.input("x", ncnn.Mat(shifted))
        status, made = extractor.extract("y")
        assert status == 0, f"ncnn failed with status {status}"
        return (np.asarray(made) + mean)[None]

    return _with_arrays(run)


def ncnn_lines(weights: Checkpoint, scale: int) -> Iterator[tuple[str, str]]:
    """The layers of ncnn's graph without the mean, and where each one's weights are; or ""."""

    def convolution(name: str, source: str, key: str, relu: bool = False) -> tuple[str, str]:
        outputs, *_ = shape = weights.tensors[f"{key}.weight"].shape
        count = int(np.prod(shape))
        line = f"Convolution {name} 1 1 {source} {name} 0={outputs} 1=3 4=1 5=1 6={count}"
        return line + (" 9=1" if relu else ""), key

    blocks = weights.config.blocks
    yield "Input x 0 1 x", ""
    yield convolution("head", "x", "head.0")
    yield "Split s 1 2 head long in0", ""
    for block in range(blocks):
        yield f"Split s{block} 1 2 in{block} i{block} c{block}", ""
        yield convolution(f"r{block}", f"c{block}", f"body.{block}.body.0", relu=True)
        yield convolution(f"b{block}", f"r{block}", f"body.{block}.body.2")
        yield f"BinaryOp a{block} 2 1 i{block} b{block} in{block + 1} 0=0", ""
    yield convolution("last", f"in{blocks}", f"body.{blocks}")
    yield "BinaryOp skip 2 1 long last up0 0=0", ""
    for step, factor in enumerate(upsampling_steps(scale)):
        yield convolution(f"u{step}", f"up{step}", f"tail.0.{2 * step}")
        yield f"PixelShuffle p{step} 1 1 u{step} up{step + 1} 0={factor}", ""
    yield convolution("y", f"up{len(upsampling_steps(scale))}", "tail.1")


PEERS: dict[str, Callable[[Checkpoint, int, int], Run]] = {
    "edsr": partial(edsr, engine="ncnn"),
    "edsr, --engine torch": partial(edsr, engine="torch"),
    "PyTorch's module, whole picture": plain,
    "EDSR-PyTorch, --chop": partial(plain, chop=True),
    "torchSR, tiles of 128": torchsr,
    "super-image, whole picture": super_image,
    "ONNX Runtime, whole picture": onnx_runtime,
    "OpenVINO, whole picture": openvino,
    "ncnn, whole picture": plain_ncnn,
}


def _with_torch(network: Callable[[Any], Any]) -> Run:
    """A function of (1, 3, h, w) tensors in 0..255 as one of pictures."""
    import torch

    def run(pixels: Pixels) -> Pixels:
        with torch.inference_mode():
            x = torch.from_numpy(pixels).permute(2, 0, 1)[None].float().contiguous()
            y = network(x).clamp(0, 255).round().to(torch.uint8)
            return np.asarray(y[0].permute(1, 2, 0).contiguous())

    return run


def _with_arrays(network: Callable[[Any], Any]) -> Run:
    """The same for arrays."""

    def run(pixels: Pixels) -> Pixels:
        y = network(np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], dtype=np.float32))
        levels: Pixels = np.rint(y[0]).clip(0, 255).astype(np.uint8)
        return np.ascontiguousarray(levels.transpose(1, 2, 0))

    return run


def _torch_tensors(weights: Checkpoint) -> dict[str, Any]:
    import torch

    return {key: torch.from_numpy(np.array(value)) for key, value in weights.tensors.items()}


def _onnx(weights: Checkpoint) -> bytes:
    """The plain module as ONNX, for pictures of any size."""
    import warnings

    import torch

    from edsr_cli.model.networks import network_of

    file = io.BytesIO()
    axes = {"x": {2: "h", 3: "w"}, "y": {2: "H", 3: "W"}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there is a newer exporter, with dependencies
        torch.onnx.export(
            network_of(weights.config, weights.tensors),
            (torch.zeros(1, 3, 8, 8),),
            file,  # type: ignore[arg-type]
            input_names=["x"],
            output_names=["y"],
            dynamic_axes=axes,
            dynamo=False,
        )
    return file.getvalue()


def _stored(weights: Checkpoint, key: str) -> bytes:
    """A convolution as ncnn reads it: what kind of numbers they are (0 for fp32), and they."""
    parts = (weights.tensors[f"{key}.{part}"].astype(np.float32) for part in ("weight", "bias"))
    return bytes(4) + b"".join(part.tobytes() for part in parts)


def _stand_in(*names: str) -> None:
    """Let modules be imported that only data sets and transforms need, where they are missing."""
    for name in names:
        try:
            __import__(name)
        except ImportError:
            sys.modules[name] = MagicMock()


def picture(size: int) -> Pixels:
    """Coarse noise: edges in all directions, and no more."""
    coarse = np.random.default_rng(0).integers(0, 256, (size // 4 + 1, size // 4 + 1, 3))
    return np.kron(coarse, np.ones((4, 4, 1))).astype(np.uint8)[:size, :size].copy()


def serve(name: str, scale: int, size: int, threads: int) -> None:
    """One peer in this process: a picture for each line that comes, and JSON for each picture."""
    import resource

    pixels = picture(size)
    try:
        run = PEERS[name](load_network("edsr-free", scale).checkpoint, scale, threads)
        run(pixels[:48, :48])
    except Exception as error:  # whatever others raise, it is the reason
        print(json.dumps({"skipped": f"{type(error).__name__}: {error}".splitlines()[0]}))
        return
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        begin, clock = time.process_time(), time.perf_counter()
        output = run(pixels)
        taken = {"cpu": time.process_time() - begin, "clock": time.perf_counter() - clock}
        np.save(line.strip(), output)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        peak *= 1 if sys.platform == "darwin" else 1024
        print(json.dumps({**taken, "megabytes": peak / 1e6}), flush=True)


class Peer:
    """A peer in a process of its own.

    Args:
        name: which.
        arguments: of the command line, for it.

    Attributes:
        skipped: why it could not begin; empty if it did.
        found: what each picture took.
    """

    def __init__(self, name: str, arguments: list[str]) -> None:
        command = [sys.executable, "-m", "benchmarks.peers", "--serve", name, *arguments]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.found: list[dict[str, float]] = []
        self.skipped = str(self._answer().get("skipped", ""))

    def upscale(self, file: Path) -> Pixels:
        """Its output, which goes through a file."""
        assert self._process.stdin is not None
        print(file, file=self._process.stdin, flush=True)
        self.found.append(self._answer())
        output: Pixels = np.load(file)
        return output

    def close(self) -> None:
        """Let it end."""
        self._process.communicate()

    def row(self, difference: str) -> str:
        """Its line of the table, without its name."""
        if self.skipped:
            return f"left out: {self.skipped} | | | |"
        cpu, clock, peak = (
            statistics.median(each[key] for each in self.found)
            for key in ("cpu", "clock", "megabytes")
        )
        return f"{cpu:.2f} s | {clock:.1f} s | {peak:.0f} MB | {difference} |"

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        # What libraries print comes before it.
        for line in self._process.stdout:
            if line.startswith("{"):
                answer: dict[str, Any] = json.loads(line)
                return answer
        return {"skipped": f"it ended with status {self._process.wait()}"}


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--scale", type=int, default=4)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=PEERS, default=list(PEERS), metavar="PEER")
    parser.add_argument("--serve", choices=PEERS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve, options.scale, options.size, options.threads)
        return
    arguments = [f"--{name}={getattr(options, name)}" for name in ("scale", "size", "threads")]
    peers = {name: Peer(name, arguments) for name in options.only}
    present = {name: peer for name, peer in peers.items() if not peer.skipped}
    differences: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(options.rounds):
            reference = None
            for name, peer in present.items():
                output = peer.upscale(Path(folder, "output.npy")).astype(int)
                reference = output if reference is None else reference
                apart = np.abs(output - reference)
                differences[name] = f"{apart.max()}, {apart.mean():.5f}"
    for peer in peers.values():
        peer.close()
    print(
        f"x{options.scale}, {options.size} x {options.size}, threads: {options.threads}, medians"
        f" of {options.rounds} rounds; {platform.machine()}, Python {platform.python_version()}\n"
    )
    print("| | processor | clock | peak memory | levels off, at most and in the mean |")
    print("|---|---|---|---|---|")
    for name, peer in peers.items():
        print(f"| {name} | {peer.row(differences.get(name, ''))}")


if __name__ == "__main__":
    main()
