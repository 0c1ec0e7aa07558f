"""What each architecture costs: parameters, FLOPs, speed and memory, in PyTorch, torch.compile and ONNX Runtime.

    python benchmarks/models.py --only faster_rcnn_r50_fpn_1x    # one
    python benchmarks/models.py --size 256x448                   # all, quickly
    python benchmarks/models.py                                  # all; goes on where an earlier run stopped, and
                                                                 # measures again what lacks one of --ways
    python benchmarks/models.py --write                          # and put the speeds into zoo/

One model of each architecture with weights drawn by name. "bare" is the network on one prepared picture, without what
comes after it in NumPy; "end to end" goes from the pixels of a picture to typed results. Once all ways are warm they
take turns, at least three times, and medians are given: a row's figures are of one machine in one run. Memory is the
largest that a process of its own had, to load a model from its file and run it once; of torch.compile, all that drawing
weights and compiling take. FLOPs (a multiplication and an addition are two) are those of convolutions, deformable ones
too, and of matrix products. In PyTorch a tracker also tracks; what is exported of it ends before that, so its ways are
not compared.
"""

from __future__ import annotations

import argparse
import functools
import json
import multiprocessing
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import numpy as np
import onnxruntime
import torch
from drawn_weights import fill_with_drawn_weights
from process_memory import peak_memory

from bdd100k_models.commands.export import parse_size
from bdd100k_models.datasets.loader import Batch
from bdd100k_models.engine.config import load_config
from bdd100k_models.engine.distributed import set_cpu_threads
from bdd100k_models.engine.model import predict, prepare_model
from bdd100k_models.engine.weightless import count_parameters
from bdd100k_models.errors import ZooError
from bdd100k_models.export.architectures import Architecture, list_architectures
from bdd100k_models.export.build import ExportOptions, write_model
from bdd100k_models.export.check import person_boxes
from bdd100k_models.export.load import as_model, with_size
from bdd100k_models.formats.files import write_bytes
from bdd100k_models.inference.model import Model
from bdd100k_models.inference.pictures import Picture, take_picture
from bdd100k_models.paths import resource_root
from bdd100k_models.runtime import load
from bdd100k_models.tasks import IMAGE_SIZE, TASKS
from bdd100k_models.zoo.facts import flop_counter
from bdd100k_models.zoo.records import config_files

WAYS = ("eager", "compile", "onnxruntime")
#: How often each figure is taken at least.
FEWEST_ROUNDS = 3
_FIXED = ("pose", "tagging")
_WEIGHTS = "weights.pth"

#: How to run bare and end to end, or why a way is not there.
Way: TypeAlias = "tuple[Callable[[], object], Callable[[], object]] | str"
Result = TypeVar("Result")


def build(architecture: Architecture, size: tuple[int, int] | None, weights: Path | None = None) -> Model:
    """Return an architecture's example, with weights from a file or else drawn ones."""
    config = load_config(config_files(architecture.task)[architecture.example])
    if size is not None and architecture.task not in _FIXED:
        config = with_size(config, size, architecture.example)
    network = prepare_model(config, weights, torch.device("cpu"))
    if weights is None:
        fill_with_drawn_weights(network)
    return as_model(architecture.example, TASKS[architecture.task], config, network)


def size_of(architecture: Architecture, size: tuple[int, int] | None) -> tuple[int, int]:
    """Return the size of the picture that an architecture is tried with: of some, only that of the data set."""
    return IMAGE_SIZE if architecture.task in _FIXED or size is None else size


class Bench:
    """One architecture on one picture.

    Args:
        architecture: The architecture.
        size: Height and width of the picture in pixels; None for that of the data set.
        folder: For the exported model.
        weights: A checkpoint; by default weights are drawn.
    """

    def __init__(
        self, architecture: Architecture, size: tuple[int, int] | None, folder: Path, weights: Path | None = None
    ) -> None:
        self.architecture, self.folder = architecture, folder
        self.size = size_of(architecture, size)
        self.model = build(architecture, size, weights)
        rng = np.random.default_rng(0)
        self.pixels = rng.integers(0, 256, (*self.size, 3), dtype=np.uint8)
        self.options: dict[str, Any] = {}
        if architecture.task == "pose":
            self.options["boxes"] = [person_boxes(self.size)[:1]]

    def batch(self) -> dict[str, list[Any]]:
        """Return one prepared picture, or one person."""
        return self._prepared()[1]

    def _prepared(self) -> tuple[Picture, dict[str, list[Any]]]:
        from bdd100k_models.datasets.person_boxes import PersonBox, as_regions

        picture, batch = take_picture(self.pixels, video="v" if self.model.task.videos else None, position=0), Batch()
        regions = None
        if self.options:
            corners = self.options["boxes"][0][0].tolist()
            regions = as_regions({"": [PersonBox(*corners, 1.0)]})[""]
        self.model._preparation.add(batch, 0, picture.item(), picture.pixels, regions=regions)
        return picture, batch.data

    def flops(self) -> float:
        """Return the floating-point operations of one picture, in 10^9."""
        with flop_counter() as counter, torch.no_grad():
            predict(self.model.network, self.batch())
        return float(counter.get_total_flops()) / 1e9

    def way(self, name: str) -> Way:
        """Return one of :data:`WAYS` to run it, or why that is not there."""
        if name == "compile":
            return self._compiled()
        if name == "onnxruntime":
            return self._exported()
        data, network = self.batch(), self.model.network

        def bare() -> object:
            with torch.inference_mode():
                return predict(network, data)

        return bare, lambda: self.model.predict(self.pixels, **self.options)

    def _compiled(self) -> Way:
        if (reason := no_compiler()) is not None:
            return reason

        def forward(data: dict[str, list[Any]]) -> list[dict[str, Any]]:
            with torch.no_grad():  # in inference mode PyTorch 2.11 fails over its own guards on models of pose
                return predict(self.model.network, data)

        compiled, prepared = torch.compile(forward), self.batch()

        def whole() -> object:
            picture, data = self._prepared()
            return self.model.result(picture, self.model.format.encode(compiled(data)))

        try:
            compiled(prepared)
            whole()
        except Exception as error:
            lines = [line for line in str(error).splitlines() if line.strip()]
            return f"{type(error).__name__}: {lines[0][:120] if lines else ''}"
        return lambda: compiled(prepared), whole

    def _exported(self) -> Way:
        path = self.folder / "model.onnx"
        try:
            write_model(self.model, path, ExportOptions(size=self.size))
        except ZooError as error:
            return str(error)
        runner = load(path, threads=torch.get_num_threads())
        height, width = runner.description.input_size if self.options else self.size
        images = np.random.default_rng(0).integers(0, 256, (1, height, width, 3), dtype=np.uint8)
        images = images.astype(np.float32) if self.options else images
        return lambda: runner.run(images), lambda: runner.predict(self.pixels, **self.options)


@functools.cache
def no_compiler() -> str | None:
    """Return why torch.compile cannot make code here, or None where it can."""
    try:
        torch.compile(lambda value: value * 2 + 1)(torch.zeros(3))
    except Exception as error:
        return f"{type(error).__name__}: {str(error).splitlines()[0][:120]}"
    return None


def time_in_turn(runs: dict[str, Callable[[], object]], rounds: int, limit: float) -> dict[str, float]:
    """Return how often each can be run a second: medians over rounds in which they take turns, after one to warm up.

    Args:
        runs: What to run.
        rounds: How many there are at most, if that is more than :data:`FEWEST_ROUNDS`.
        limit: After :data:`FEWEST_ROUNDS`, no further one begins once one of them took this many seconds.
    """
    for run in runs.values():
        run()
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(max(rounds, FEWEST_ROUNDS)):
        if turn >= FEWEST_ROUNDS and max(map(sum, taken.values())) > limit:
            break
        for name, run in runs.items():
            started = time.perf_counter()
            run()
            taken[name].append(time.perf_counter() - started)
    return {name: 1 / statistics.median(seconds) for name, seconds in taken.items()}


def measure(
    architecture: Architecture, size: tuple[int, int] | None, rounds: int, limit: float, wanted: list[str]
) -> dict[str, Any]:
    """Return the figures of an architecture, measured in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        row = _in_a_new_process(_measure, architecture, size, rounds, limit, wanted, Path(folder))
        for way in row["bare"].keys() - {"compile"}:
            row["memory"][way] = _in_a_new_process(_memory_of, architecture, size, way, Path(folder))
    return row


def _in_a_new_process(function: Callable[..., Result], *arguments: object) -> Result:
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(function, arguments)


def _measure(
    architecture: Architecture,
    size: tuple[int, int] | None,
    rounds: int,
    limit: float,
    wanted: list[str],
    folder: Path,
) -> dict[str, Any]:
    set_cpu_threads()
    before = peak_memory()
    bench = Bench(architecture, size, folder)
    row: dict[str, Any] = {
        "name": architecture.name,
        "example": architecture.example,
        "task": architecture.task,
        "size": bench.size,
        "parameters": count_parameters(bench.model.network),
        "gflops": round(bench.flops(), 2),
        "memory": {},
    }
    ways: dict[str, Way] = {}
    for name in wanted:
        ways[name] = bench.way(name)
        if name == "compile" and not isinstance(ways[name], str):
            row["memory"][name] = round(peak_memory() - before, 1)
    running = {name: way for name, way in ways.items() if not isinstance(way, str)}
    row["bare"] = time_in_turn({name: way[0] for name, way in running.items()}, rounds, limit)
    row["whole"] = time_in_turn({name: way[1] for name, way in running.items()}, rounds, limit)
    row["failed"] = {name: way for name, way in ways.items() if isinstance(way, str)}
    torch.save({"state_dict": bench.model.network.state_dict()}, folder / _WEIGHTS)
    return row


def _memory_of(architecture: Architecture, size: tuple[int, int] | None, way: str, folder: Path) -> float:
    """Return the most memory, in MiB, that this new process takes to load a model and run it once."""
    before = peak_memory()
    if way == "eager":
        bench = Bench(architecture, size, folder, folder / _WEIGHTS)
        with torch.inference_mode():
            predict(bench.model.network, bench.batch())
    else:
        runner = load(folder / "model.onnx")
        pose = architecture.task == "pose"
        shape = runner.description.input_size if pose else runner.description.image_size
        runner.run(np.zeros((1, *shape, 3), np.float32 if pose else np.uint8))
    return round(peak_memory() - before, 1)


def hardware() -> str:
    """Return the processor and the threads that are used."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").is_file() else []
    named = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return f"{named or platform.processor() or platform.machine()}, {torch.get_num_threads()} threads"


def circumstances() -> dict[str, Any]:
    """Return on what a row was measured."""
    versions = {"torch": torch.__version__.partition("+")[0], "onnxruntime": onnxruntime.__version__}
    return {"hardware": hardware(), "versions": versions}


def write_speeds(rows: list[dict[str, Any]]) -> None:
    """Put end-to-end speeds of PyTorch and ONNX Runtime into the rows of the zoo that were measured."""
    for task in sorted({row["task"] for row in rows}):
        path = resource_root() / "zoo" / f"{task}.json"
        methods = json.loads(path.read_text())
        for model in (model for method in methods for model in method["models"]):
            row = next((row for row in rows if row["example"] == model["name"]), None)
            if row is None or not row["whole"] or tuple(row["size"]) != IMAGE_SIZE:
                continue
            packages = {"eager": "torch", "onnxruntime": "onnxruntime"}
            measured = {packages[way] for way in row["whole"].keys() & packages.keys()}
            model["speed"] = [entry for entry in model.get("speed", ()) if not measured & entry["versions"].keys()] + [
                {
                    "hardware": row["hardware"],
                    "versions": {packages[way]: row["versions"][packages[way]]},
                    "images_per_second": round(speed, 3),
                }
                for way, speed in row["whole"].items()
                if way == "eager" or (way in packages and not TASKS[task].videos)
            ]
        write_bytes(path, (json.dumps(methods, indent=1, ensure_ascii=False) + "\n").encode())


def print_table(rows: list[dict[str, Any]]) -> None:
    """Print the figures as a table of Markdown."""
    for said in dict.fromkeys(
        f"{row['hardware']}, PyTorch {row['versions']['torch']}, ONNX Runtime {row['versions']['onnxruntime']}"
        for row in rows
    ):
        print(said + "\n")
    heads = ["model", "size", "M parameters", "GFLOPs", *(f"bare {way} /s" for way in WAYS)]
    heads += [*(f"end to end {way} /s" for way in WAYS), "onnxruntime / eager", *(f"MiB {way}" for way in WAYS)]
    print("| " + " | ".join(heads) + " |\n| :- | :- |" + " -: |" * (len(heads) - 2))
    for row in rows:
        bare, whole, memory = row["bare"], row["whole"], row.get("memory", {})
        cells = [
            row["example"],
            "x".join(map(str, row["size"])),
            f"{row['parameters'] / 1e6:.2f}",
            f"{row['gflops']:.1f}",
        ]
        cells += [f"{bare[way]:.2f}" if way in bare else "-" for way in WAYS]
        cells += [f"{whole[way]:.2f}" if way in whole else "-" for way in WAYS]
        comparable = {"eager", "onnxruntime"} <= bare.keys() and not TASKS[row["task"]].videos
        cells.append(f"{bare['onnxruntime'] / bare['eager']:.2f}" if comparable else "-")
        cells += [f"{memory[way]:.0f}" if way in memory else "-" for way in WAYS]
        print("| " + " | ".join(cells) + " |")
    for row in rows:
        for way, reason in row["failed"].items():
            print(f"\n{row['example']}, {way}: {reason}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", metavar="PART", default="", help="only examples whose name has this part")
    parser.add_argument("--size", metavar="HxW", help="look at pictures at this size (default: 720x1280)")
    parser.add_argument(
        "--rounds", type=int, default=5, help=f"how often each figure is taken, {FEWEST_ROUNDS} or more (default: 5)"
    )
    parser.add_argument(
        "--ways",
        nargs="+",
        choices=WAYS,
        default=["eager", "onnxruntime"],
        help="what to measure (default: eager onnxruntime; compile can take minutes a model)",
    )
    parser.add_argument("--write", action="store_true", help="put speeds at 720x1280 into zoo/")
    parser.add_argument(
        "--seconds", type=float, default=20.0, help="no further round once one way took this long (default: 20)"
    )
    parser.add_argument("--results", type=Path, default=Path("work_dirs/models.json"), metavar="FILE")
    args = parser.parse_args()
    set_cpu_threads()
    size = parse_size(args.size)
    rows = json.loads(args.results.read_text()) if args.results.is_file() else []
    found = {(row["name"], tuple(row["size"])): row for row in rows}
    asked = [item for item in list_architectures() if args.only in item.example]
    for architecture in asked:
        row = found.get((architecture.name, size_of(architecture, size)), {"whole": {}, "failed": {}})
        if set(args.ways) <= {*row["whole"], *row["failed"]}:
            continue
        # in one run with what was measured before, or the figures could not be compared
        ways = [way for way in WAYS if way in {*args.ways, *row["whole"], *row["failed"]}]
        row = measure(architecture, size, args.rounds, args.seconds, ways)
        found[architecture.name, tuple(row["size"])] = row | circumstances()
        write_bytes(args.results, json.dumps(list(found.values()), indent=1).encode())
        print(architecture.example, file=sys.stderr, flush=True)
    wanted = [found[item.name, size_of(item, size)] for item in asked]
    print_table(wanted)
    if args.write:
        write_speeds(wanted)


if __name__ == "__main__":
    main()
