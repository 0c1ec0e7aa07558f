"""Masks of a whole evaluation: which form a result has, which files belong together, and reading them side by side."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from bdd100k_models.errors import InputError, LabelError, MissingFileError
from bdd100k_models.evaluation.parts import Units
from bdd100k_models.formats.folders import files_below, holds_json
from bdd100k_models.memory import keep_freed_memory
from bdd100k_models.paths import exists, is_dir
from bdd100k_models.processes import KEPT_MEMORY, process_pool

_Item = TypeVar("_Item")
_Outcome = TypeVar("_Outcome")

#: With fewer images than this, starting a second process takes longer than it saves; and how much more of run-length
#: masks, which are read without decoding any pixel.
_WORTH_A_POOL, _LIGHTER = 100, 20

#: Images that a worker takes at a time, and how many such portions wait for each worker.
_PORTION, _AHEAD = 8, 4


def has_masks(truth: Path, result: Path) -> bool:
    """Tell whether a result is a folder of PNG files, rather than JSON; the ground truth must be of the same form.

    As in the official tool, folders are searched recursively, and may hold nothing else. Hidden files do not count.

    Raises:
        MissingFileError: A path does not exist, or a folder is empty or cannot be read.
        LabelError: The result mixes PNG and JSON or holds other files, or the ground truth has the other form.
    """
    for path in (truth, result):
        if not exists(path):
            raise MissingFileError(f"{path}: no such file or folder; check the path, or the data root and split")
    if is_dir(result):
        masks = _folder_has_masks(result)
    elif result.suffix.lower() == ".png":
        raise LabelError(f"{result}: one PNG file; name the folder that holds the masks")
    else:
        masks = False
    _check_truth(truth, masks, result)
    return masks


def _folder_has_masks(result: Path) -> bool:
    """Tell whether a folder holds PNG files, rather than JSON."""
    files = files_below(result)
    if not files:
        raise MissingFileError(f"{result}: an empty folder; name a folder of PNG files, or JSON")
    advice = "name a folder of .png files only, or of .json files only"
    if odd := next((file for file in files if file.suffix not in (".png", ".json")), None):
        raise LabelError(f"{result}: {odd} is neither; {advice}")
    suffix = files[0].suffix
    if other := next((file for file in files if file.suffix != suffix), None):
        raise LabelError(f"{result}: {other} stands beside {files[0]}; {advice}")
    return suffix == ".png"


def _check_truth(truth: Path, masks: bool, result: Path) -> None:
    has_png = is_dir(truth) and bool(files_below(truth, ".png"))
    if masks and not has_png:
        raise LabelError(f"{truth}: no PNG masks, but the result {result} is a folder of them; give masks for both")
    if not masks and has_png and not holds_json(truth):
        raise LabelError(f"{truth}: PNG masks, but the result {result} is JSON; name the JSON ground truth")


@dataclass(frozen=True)
class MaskPairs:
    """The images of a mask evaluation.

    Attributes:
        names: Path of each image's mask below the folder of ground truth.
        truths: The file of each.
        results: The file of each prediction, or None where there is none.
        foreign: How many predictions are of other images.
    """

    names: tuple[str, ...]
    truths: tuple[Path, ...]
    results: tuple[Path | None, ...]
    foreign: int

    @property
    def missing(self) -> int:
        """How many images have no prediction."""
        return sum(path is None for path in self.results)

    def units(self) -> Units:
        """Return the images; masks do not say anything of their scenes."""
        return Units(self.names)

    def notes(self, consequence: str) -> list[str]:
        """Return what to tell about images on one side only; ``consequence`` says how missing ones count."""
        notes = []
        if self.missing:
            notes.append(f"{self.missing} of {len(self.names)} images have no predictions; {consequence}")
        if self.foreign:
            notes.append(f"{self.foreign} predicted masks are of no image of the ground truth; they are left out")
        return notes


def pair_masks(truth: Path, result: Path) -> MaskPairs:
    """Find the PNG files below two folders and pair them by file name.

    Folders play no part, as in the official tool, unless a file name stands twice on a side; then paths below the two
    folders must be equal.

    Raises:
        LabelError: None of the predictions is of an image of the ground truth.
    """
    sides = [files_below(folder, ".png") for folder in (truth, result)]
    by_path = any(len({file.name for file in files}) < len(files) for files in sides)
    keys = [[str(file) if by_path else file.name for file in files] for files in sides]
    found = dict(zip(keys[1], sides[1], strict=True))
    results = [found.get(key) for key in keys[0]]
    foreign = len(found) - sum(file is not None for file in results)
    if foreign and foreign == len(found):
        raise LabelError(
            f"{result}: none of its {foreign} masks (the first is {sides[1][0]}) is of an image of the ground truth "
            f"{truth}; these may be results for another split"
        )
    return MaskPairs(
        names=tuple(str(file) for file in sides[0]),
        truths=tuple(truth / file for file in sides[0]),
        results=tuple(file and result / file for file in results),
        foreign=foreign,
    )


def check_shapes(truth: tuple[int, ...], result: tuple[int, ...], where: Path | str) -> None:
    """Require two masks of an image to have the same height and width; ``where`` names the prediction.

    Raises:
        LabelError: They differ.
    """
    if truth[:2] != result[:2]:
        raise LabelError(
            f"{where}: {result[0]}x{result[1]} pixels (height x width), but the ground truth has {truth[0]}x{truth[1]};"
            " write masks in the size of the images"
        )


def map_images(
    function: Callable[[_Item], _Outcome],
    items: Sequence[_Item],
    processes: int | None = None,
    *,
    light: bool = False,
    images_each: int = 1,
) -> Iterator[_Outcome]:
    """Apply a function to every image, in several processes where that pays; outcomes come in order.

    Memory does not grow with the number of images. The processes are started afresh, so ``function`` must be one that
    can be imported (or a :func:`functools.partial` of one), and so must the main module.

    Args:
        function: What to do with one image.
        items: The images.
        processes: How many to use; by default, and for few images, only this one.
        light: Whether an image takes only a millisecond or two.
        images_each: How many images an item stands for, about: a video stands for its frames.

    Yields:
        The outcome of each item.

    Raises:
        InputError: A process was killed.
    """
    worth = _WORTH_A_POOL * (_LIGHTER if light else 1)
    if processes is None or processes < 2 or len(items) < 2 or len(items) * images_each < worth:
        keep_freed_memory(KEPT_MEMORY)
        yield from map(function, items)
        return
    size = max(1, _PORTION // images_each)
    portions = (items[start : start + size] for start in range(0, len(items), size))  # each read in its turn
    work = functools.partial(_apply, function)
    killed = InputError("a worker process was killed, perhaps for lack of memory; use --nproc 1")
    with process_pool(processes, killed) as pool:
        waiting = [pool.submit(work, portion) for portion in itertools.islice(portions, processes * _AHEAD)]
        while waiting:
            yield from waiting.pop(0).result()
            waiting.extend(pool.submit(work, portion) for portion in itertools.islice(portions, 1))


def _apply(function: Callable[[_Item], _Outcome], items: Sequence[_Item]) -> list[_Outcome]:
    return [function(item) for item in items]
