"""Which architectures of the zoo can be exported, and whether what comes out says what PyTorch says.

    python benchmarks/export.py --images FOLDER                   # all; goes on where an earlier run stopped
    python benchmarks/export.py --images FOLDER --only retinanet  # some
    python benchmarks/export.py --images FOLDER --format torchscript
    python benchmarks/export.py --write                           # the table of doc/EXPORT.md, from the results

One model of each architecture is built with weights drawn by name, exported, and both run on three of the pictures,
scaled to the size named in the table; see bdd100k_models/export/check.py for what is compared and the limits.
"""

from __future__ import annotations

import argparse
import gc
import json
import tempfile
import time
import traceback
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from drawn_weights import fill_with_drawn_weights, settle_statistics, spread_classes

from bdd100k_models.datasets.images import images_of_folder
from bdd100k_models.engine.config import load_config
from bdd100k_models.engine.distributed import set_cpu_threads
from bdd100k_models.engine.model import prepare_model
from bdd100k_models.errors import InputError, ZooError
from bdd100k_models.export.architectures import Architecture, list_architectures
from bdd100k_models.export.build import SUFFIXES, ExportOptions, write_model
from bdd100k_models.export.check import check_export, load_exported, person_boxes
from bdd100k_models.export.load import as_model, with_size
from bdd100k_models.formats.files import write_bytes
from bdd100k_models.inference.model import Model
from bdd100k_models.inference.results import ClassMap
from bdd100k_models.runtime.pictures import read_picture, resize
from bdd100k_models.tasks import IMAGE_SIZE, TASKS
from bdd100k_models.zoo.records import config_files

PAGE = Path(__file__).resolve().parent.parent / "doc" / "EXPORT.md"
BEGIN, END = "<!-- table: benchmarks/export.py --write -->", "<!-- end of table -->"
SIZES = {"sem_seg": (128, 256), "drivable": (128, 256), "pose": IMAGE_SIZE, "tagging": IMAGE_SIZE}
DEFAULT_SIZE = (256, 448)
_LABELS = {"onnx": "ONNX", "torchscript": "TorchScript"}


def build(architecture: Architecture, files: list[Path]) -> tuple[Model, tuple[int, int]]:
    """Return an architecture's example with drawn weights, and the size that it is tried at."""
    size = SIZES.get(architecture.task, DEFAULT_SIZE)
    config = load_config(config_files(architecture.task)[architecture.example])
    if size != IMAGE_SIZE:
        config = with_size(config, size, architecture.example)
    network = prepare_model(config, None, torch.device("cpu"))
    fill_with_drawn_weights(network)
    model = as_model(architecture.example, TASKS[architecture.task], config, network)
    task = TASKS[architecture.task]
    if task.library in ("mmdet", "mmpose"):
        pixels = resize(read_picture(files[0]), size)
        options = {"boxes": [person_boxes(size)]} if task.name == "pose" else {}
        settle_statistics(network, lambda: model.predict(pixels, **options))
    if task.library == "mmseg":
        pictures = [resize(read_picture(file), size) for file in files]

        def run() -> object:  # together: where a map is pooled to one value, there is no spread over one picture
            return model.predict(pictures, batch_size=len(pictures))

        settle_statistics(network, run)
        spread_classes(network, run)
    return model, size


def try_one(architecture: Architecture, files: list[Path], form: str) -> dict[str, Any]:
    """Export one architecture and compare; what stopped it is part of the row."""
    row: dict[str, Any] = {"name": architecture.name, "example": architecture.example, "task": architecture.task}
    row |= {"models": architecture.count, "form": form, "with": circumstances()}
    started = time.perf_counter()
    try:
        model, size = build(architecture, files)
        row["size"] = size
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"model{SUFFIXES[form]}"
            write_model(model, path, ExportOptions(form=form, size=size))  # type: ignore[arg-type]
            row["megabytes"] = round(path.stat().st_size / 1e6, 1)
            agreement = check_export(model, load_exported(path), files)
            said = str(agreement)
            if model.task.library == "mmseg":
                row["classes"] = fewest_classes(model, files, size)
                said += f", {row['classes']} classes"
        row |= {"passed": agreement.passed, "worst": agreement.worst, "said": said}
    except ZooError as error:
        row |= {"passed": False, "stopped": str(error)}
    except Exception as error:
        traceback.print_exc()
        row |= {"passed": False, "stopped": f"{type(error).__name__}: {str(error).splitlines()[0][:160]}"}
    row["seconds"] = round(time.perf_counter() - started, 1)
    return row


def fewest_classes(model: Model, files: list[Path], size: tuple[int, int]) -> int:
    """Return how many classes occur in a segmentor's map of the picture that has the fewest.

    Raises:
        InputError: There is one alone, so that any agreement would say nothing.
    """
    maps = model.predict([resize(read_picture(file), size) for file in files])
    count = min(len(np.unique(result.classes)) for result in maps if isinstance(result, ClassMap))
    if count == 1:
        raise InputError("with the drawn weights one class wins everywhere, so agreement says nothing")
    return count


def circumstances() -> str:
    """Return what a row is tried with, and when."""
    versions = f"PyTorch {torch.__version__.partition('+')[0]}, ONNX Runtime {onnxruntime.__version__}"
    return f"{versions}, {date.today()}"


def _passed(rows: list[dict[str, Any]], label: str) -> str:
    works = [row for row in rows if row["passed"]]
    models = f"{sum(row['models'] for row in works)} of {sum(row['models'] for row in rows)}"
    return f"{label}: {len(works)} of {len(rows)} architectures ({models} models) pass."


def _told(row: dict[str, Any]) -> str:
    """Return the cell of an export: whether it works, and the largest differences or what stops it."""
    verdict = "works" if row["passed"] else "differs" if "said" in row else "stopped"
    return f"{verdict}: {row.get('said') or row.get('stopped')}"


def write_page(rows: list[dict[str, Any]]) -> None:
    """Put the table into the page, between its markers.

    Raises:
        InputError: The page has no markers.
    """
    text = PAGE.read_text()
    if BEGIN not in text or END not in text:
        raise InputError(f"{PAGE}: has no place for the table; put {BEGIN} and {END} there")
    tried: dict[str, dict[str, dict[str, Any]]] = {}
    for row in sorted(rows, key=lambda row: (list(TASKS).index(row["task"]), row["name"])):
        tried.setdefault(row["name"], {})[row["form"]] = row
    told = [_passed([row for row in rows if row["form"] == form], label) for form, label in _LABELS.items()]
    lines = ["\n".join([*told, "; ".join(sorted({row["with"] for row in rows})) + "."]), ""]
    lines.append("| architecture | models | tried with | size | " + " | ".join(_LABELS.values()) + " |")
    lines.append("| :- | -: | :- | :- |" + " :- |" * len(_LABELS))
    for name, forms in tried.items():
        row = next(iter(forms.values()))
        size = next(("x".join(map(str, found["size"])) for found in forms.values() if "size" in found), "-")
        cells = [_told(forms[form]) if form in forms else "-" for form in _LABELS]
        lines.append(f"| {name} | {row['models']} | {row['example']} | {size} | " + " | ".join(cells) + " |")
    before, rest = text.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    write_bytes(PAGE, "\n".join([f"{before}{BEGIN}", "", *lines, "", f"{END}{after}"]).encode())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, metavar="DIR", help="folder of pictures; the first three are used")
    parser.add_argument("--only", metavar="PART", help="only examples whose name has this part")
    parser.add_argument("--format", choices=sorted(SUFFIXES), default="onnx")
    parser.add_argument("--results", type=Path, default=Path("work_dirs/export.json"), metavar="FILE")
    parser.add_argument("--again", action="store_true", help="try those again that failed")
    parser.add_argument("--write", action="store_true", help="write the table of doc/EXPORT.md")
    args = parser.parse_args()
    set_cpu_threads()
    rows = json.loads(args.results.read_text()) if args.results.is_file() else []
    if args.images is not None:
        files = [item.path for item in images_of_folder(args.images).items[:3]]
        done = {row["name"] for row in rows if row["form"] == args.format and (row["passed"] or not args.again)}
        for architecture in list_architectures():
            if architecture.name in done or (args.only or "") not in architecture.example:
                continue
            row = try_one(architecture, files, args.format)
            print(row["example"], row["seconds"], "s:", row.get("said") or row.get("stopped"), flush=True)
            same = [other for other in rows if (other["name"], other["form"]) == (row["name"], row["form"])]
            rows = [*(other for other in rows if other not in same), row]
            write_bytes(args.results, json.dumps(rows, indent=1).encode())
            gc.collect()
    if args.write:
        write_page(rows)


if __name__ == "__main__":
    main()
