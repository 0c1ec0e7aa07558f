"""``bdd100k-models export NAME``: a model as one file that runs without OpenMMLab."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bdd100k_models.commands.limits import check_least
from bdd100k_models.errors import InputError

if TYPE_CHECKING:
    from bdd100k_models.export.check import Agreement
    from bdd100k_models.runtime.description import Description

_EXAMPLES = """\
examples:
  bdd100k-models export faster_rcnn_r50_fpn_1x_det_bdd100k
  bdd100k-models export NAME --checkpoint weights.pth --out model.onnx --check photos/*.jpg
  bdd100k-models export NAME --format torchscript
  bdd100k-models export NAME --size 360x640 --batch 1          (smaller and faster, one picture at a time)
  bdd100k-models export NAME --no-pre --no-post                (the network alone)

Run it with NumPy, Pillow and onnxruntime alone:
  from bdd100k_models.runtime import load
  results = load("model.onnx").predict(["street.jpg"])
What works for which architecture stands in doc/EXPORT.md.
Exit status: 0; 1 if the check finds a difference; 2 if nothing could be made.
"""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb ``export``."""
    from bdd100k_models.cli import HelpFormatter

    parser = subparsers.add_parser(
        "export",
        help="write a model as ONNX or TorchScript",
        description="Write a model as one file, ONNX or TorchScript, with what goes before and after the network.",
        formatter_class=HelpFormatter,
        epilog=_EXAMPLES,
    )
    parser.set_defaults(run=run)
    parser.add_argument("name", metavar="NAME", help="a model of the zoo, or a config")
    parser.add_argument("--format", choices=("onnx", "torchscript"), default="onnx", help="default: onnx")
    parser.add_argument("--out", type=Path, metavar="FILE", help="default: NAME.onnx or NAME.torchscript here")
    parser.add_argument("--checkpoint", metavar="FILE", help="weights: a file or URL (default: the zoo's)")
    parser.add_argument("--opset", type=int, metavar="N", help="version of ONNX's operators, 16 to 20 (default: 17)")
    parser.add_argument("--size", metavar="HxW", help="look at pictures at this size (default: as in the config)")
    parser.add_argument("--batch", type=int, metavar="N", help="always so many pictures (default: any number)")
    parser.add_argument("--no-pre", action="store_true", help="leave out scaling, normalisation and padding")
    parser.add_argument("--no-post", action="store_true", help="leave out suppression and decisions")
    parser.add_argument("--check", nargs="+", metavar="IMAGE", help="compare with PyTorch on these pictures")
    parser.add_argument("--json", action="store_true", help="print the description and the check as JSON")


def run(args: argparse.Namespace) -> int:
    """Run the verb."""
    size = parse_size(args.size)
    _check_arguments(args)
    from bdd100k_models.export.build import SUFFIXES, ExportOptions, check_installed, write_model
    from bdd100k_models.export.load import load_for_export
    from bdd100k_models.inference.find import find_config
    from bdd100k_models.runtime.pictures import read_picture
    from bdd100k_models.tasks import IMAGE_SIZE

    options = ExportOptions(
        form=args.format,
        size=size or IMAGE_SIZE,
        pre=not args.no_pre,
        post=not args.no_post,
        batch=args.batch,
        **({} if args.opset is None else {"opset": args.opset}),
    )
    # minutes pass before the file is written and checked: what would stop that comes first
    check_installed(options.form, run=bool(args.check))
    _, config = find_config(args.name)
    path = args.out or Path(f"{config.stem}{SUFFIXES[args.format]}")
    pictures = find_pictures(args.check or ())
    for picture in pictures:
        read_picture(picture)
    _check_output(path)
    model = load_for_export(args.name, args.checkpoint, size)
    description = write_model(model, path, options)
    agreement = None
    if pictures:
        from bdd100k_models.export.check import check_export, load_exported

        agreement = check_export(model, load_exported(path), pictures)
    if args.json:
        print(json.dumps(_summary(path, description, agreement)))
    else:
        _report(path, description, agreement)
    return 0 if agreement is None or agreement.passed else 1


def parse_size(text: str | None) -> tuple[int, int] | None:
    """Read ``HxW``, or one number for both.

    Raises:
        InputError: It is neither.
    """
    if text is None:
        return None
    match = re.fullmatch(r"(\d+)(?:x(\d+))?", text.lower())
    if match is None or not all(0 < int(side) <= 1 << 15 for side in match.groups() if side is not None):
        raise InputError(f"--size is height x width in pixels, such as 720x1280, not {text!r}")
    height = int(match.group(1))
    return height, int(match.group(2) or height)


def _check_arguments(args: argparse.Namespace) -> None:
    check_least(args, 1, "batch")
    if args.check and (args.no_pre or args.no_post):
        raise InputError("--check compares whole models; leave out --no-pre and --no-post, or --check")
    if args.opset is not None and args.format != "onnx":
        raise InputError("--opset is for ONNX; leave it out for TorchScript")


def _check_output(path: Path) -> None:
    """Refuse a file that could not be written.

    Raises:
        OutputError: It is a folder, or its own folder cannot be written.
    """
    from bdd100k_models.errors import OutputError
    from bdd100k_models.formats.files import make_folder
    from bdd100k_models.paths import exists, is_dir, is_file

    if is_dir(path):
        raise OutputError(f"{path}: is a folder; name the file to write (--out)")
    if is_file(path) or not exists(path):  # what is no regular file, such as a device, is written at once
        make_folder(path.parent)


def find_pictures(given: Sequence[str]) -> list[Path]:
    """Return image files; those of folders by name.

    Raises:
        MissingFileError: A file or folder is not there, or a folder holds no image.
    """
    from bdd100k_models.datasets.images import images_of_folder
    from bdd100k_models.errors import MissingFileError

    found: list[Path] = []
    for path in map(Path, given):
        if path.is_dir():
            found += [item.path for item in images_of_folder(path).items]
        elif path.is_file():
            found.append(path)
        else:
            raise MissingFileError(f"{path}: no such file or folder")
    return found


def _summary(path: Path, description: Description, agreement: Agreement | None) -> dict[str, Any]:
    summary: dict[str, Any] = {"file": str(path), "description": json.loads(description.to_json())}
    if agreement is not None:
        summary["check"] = {
            "passed": agreement.passed,
            "largest_differences": agreement.worst,
            "objects": agreement.objects,
            "unmatched": agreement.unmatched,
            "empty": agreement.empty,
        }
    return summary


def _report(path: Path, description: Description, agreement: Agreement | None) -> None:
    print(f"{path} ({path.stat().st_size / 2**20:.1f} MiB)")
    print(f"  input:   {description.input_form()}")
    print(f"  outputs: {', '.join(description.outputs)}")
    if agreement is None:
        return
    verdict = "the same as PyTorch's" if agreement.passed else "NOT the same as PyTorch's"
    said = str(agreement) if agreement.empty else f"{verdict} ({agreement})"
    print(f"  check:   {said}", file=sys.stdout if agreement.passed else sys.stderr)
