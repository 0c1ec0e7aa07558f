"""Configs read as data: parsed, never executed.

A config of the zoo assigns literals to names, with ``dict(...)`` for braces, and names the files it builds on in
``_base_``. That much is read here from the syntax tree, so a config that somebody sent can be looked at before anybody
trusts it. What OpenMMLab would run, import or open because of a *value* is refused as well: types named by a Python
path, modules to import, other Python files, paths outside the checkout.
"""

from __future__ import annotations

import ast
import math
import re
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from mmengine.config import Config

from bdd100k_models.errors import ConfigError, MissingFileError
from bdd100k_models.paths import is_file

#: What a config may assign.
NAMES = frozenset(
    {
        *("_base_", "default_scope", "model", "load_from", "resume", "custom_imports", "find_unused_parameters"),
        *("train_dataloader", "val_dataloader", "test_dataloader", "val_evaluator", "test_evaluator"),
        *("train_cfg", "val_cfg", "test_cfg", "tta_model", "tta_pipeline"),
        *("optim_wrapper", "param_scheduler", "auto_scale_lr", "default_hooks", "custom_hooks", "env_cfg"),
        *("vis_backends", "visualizer", "log_processor", "log_level"),
    }
)

#: Modules that ``custom_imports`` may name.
IMPORTS = frozenset({"bdd100k_models.registry", "bdd100k_models.models.pose_codecs", "mmpretrain.models"})

#: Types of the libraries that fetch or run what the config names, each with what it does.
REFUSED_TYPES: Mapping[str, str] = {
    "ATSSVLFusionHead": "fetches models of others",
    "AppearanceFreeLink": "reads files when it is built",
    "BertModel": "fetches models of others",
    "CameraMotionCompensation": "runs Python given as text",
    "DWPoseDistiller": "runs other configs",
    "GLIP": "fetches data of others",
    "GroundingDINO": "fetches data of others",
    "HuggingFaceClassifier": "fetches and runs models of others",
    "KnowledgeDistillationSingleStageDetector": "runs another config",
    "LAD": "runs another config",
    "TIMMBackbone": "fetches models of others",
    "VPD": "reads files when it is built",
}

#: Functions, not classes, that configs of OpenMMLab name as a type.
LOWER_TYPES = frozenset({"nms", "soft_nms"})
#: What expressions have and names, patterns and addresses do not.
_NOT_IN_TEXT = re.compile(r"[()\[\]{}'\"`;=<>\\]|__")
_TYPE = re.compile(r"(?:(?:mmcv|mmdet|mmengine|mmpose|mmpretrain|mmseg)\.)?[A-Z][A-Za-z0-9_]*")

#: Bounds that no honest config comes near: bytes of a file, values in it, depth, files that it builds on, numbers.
MAX_BYTES = 1 << 18
MAX_VALUES = 20_000
MAX_DEPTH = 40
MAX_FILES = 40
MAX_NUMBER = 10**12
#: The largest number in a model, which may be how many layers to build.
MAX_MODEL_NUMBER = 100_000


class _NotPlain(Exception):
    """One reason why a config is not plain data, with its line."""

    def __init__(self, node: ast.AST, reason: str) -> None:
        super().__init__(f"line {getattr(node, 'lineno', '?')}: {reason}")


def parse(source: str) -> tuple[dict[str, Any], list[str]]:
    """Parse a config's text.

    Args:
        source: Python text.

    Returns:
        The values by name as far as they are plain data, and what is not, one line each; empty if nothing.
    """
    if len(source) > MAX_BYTES:
        return {}, [f"it has {len(source)} characters, more than {MAX_BYTES}"]
    # OpenMMLab fills templates in the whole text, remarks too, before Python reads it: then it is another text
    before, template, _ = source.partition("{{")
    if template:
        number = before.count("\n") + 1
        return {}, [f"line {number}: {{{{ begins a template, which is filled in before the config is read"]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # remarks on odd literals
            tree = ast.parse(source)
        if sum(1 for _ in ast.walk(tree)) > 4 * MAX_VALUES:
            return {}, [f"it holds more than {MAX_VALUES} values"]
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = f"line {error.lineno}: " if isinstance(error, SyntaxError) and error.lineno else ""
        return {}, [f"{line}not Python ({getattr(error, 'msg', error)})"]
    values: dict[str, Any] = {}
    problems = []
    for statement in tree.body:
        try:
            name, value = _assignment(statement)
            if name in values:
                raise _NotPlain(statement, f"{name} is assigned twice")
            values[name] = value
            problems += [f"line {statement.lineno}: {name}{problem}" for problem in _refused(name, value)]
        except _NotPlain as error:
            problems.append(str(error))
    return values, problems


def _assignment(statement: ast.stmt) -> tuple[str, Any]:
    if not isinstance(statement, ast.Assign):
        raise _NotPlain(statement, f"{_kind(statement)}, where only NAME = VALUE may stand")
    if len(statement.targets) != 1 or not isinstance(statement.targets[0], ast.Name):
        raise _NotPlain(statement, "assigns to something else than one name")
    name = statement.targets[0].id
    if name not in NAMES:
        raise _NotPlain(statement, f"{name} is not one of the names that a config assigns")
    return name, _literal(statement.value, MAX_DEPTH)


def _literal(node: ast.expr, depth: int) -> Any:
    """Return the value of a literal without evaluating anything."""
    if depth == 0:
        raise _NotPlain(node, f"nested deeper than {MAX_DEPTH}")
    if isinstance(node, ast.Constant):
        return _constant(node, node.value)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
        value = node.operand.value
        if isinstance(value, int | float) and not isinstance(value, bool):
            return -_constant(node, value)
    if isinstance(node, ast.List | ast.Tuple):
        items = [_literal(item, depth - 1) for item in node.elts]
        return items if isinstance(node, ast.List) else tuple(items)
    if isinstance(node, ast.Dict):
        if any(key is None for key in node.keys):
            raise _NotPlain(node, "unpacks something")
        keys = [_key(key) for key in node.keys if key is not None]
        return _mapping(node, keys, node.values, depth)
    if isinstance(node, ast.Call):
        return _dict_call(node, depth)
    raise _NotPlain(node, f"{_kind(node)} is no literal")


def _constant(node: ast.expr, value: Any) -> Any:
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        if not math.isfinite(value) or abs(value) > MAX_NUMBER:
            raise _NotPlain(node, "a number out of all bounds")
        return value
    raise _NotPlain(node, f"a value of type {type(value).__name__}")


def _key(node: ast.expr) -> str | int:
    if isinstance(node, ast.Constant) and isinstance(node.value, str | int) and not isinstance(node.value, bool):
        key: str | int = _constant(node, node.value)
        return key
    raise _NotPlain(node, "a key that is neither text nor a number")


def _dict_call(node: ast.Call, depth: int) -> dict[str | int, Any]:
    if not (isinstance(node.func, ast.Name) and node.func.id == "dict"):
        called: str = getattr(node.func, "id", "") or getattr(node.func, "attr", "something")
        raise _NotPlain(node, f"calls {called[:40]}; only dict(...) may be called")
    if node.args or any(word.arg is None for word in node.keywords):
        raise _NotPlain(node, "dict(...) takes NAME=VALUE alone")
    return _mapping(node, [word.arg or "" for word in node.keywords], [word.value for word in node.keywords], depth)


def _mapping(node: ast.expr, keys: list[Any], values: list[ast.expr], depth: int) -> dict[str | int, Any]:
    if len(set(keys)) < len(keys):
        raise _NotPlain(node, "a key stands twice")
    return {key: _literal(value, depth - 1) for key, value in zip(keys, values, strict=True)}


def _kind(node: ast.AST) -> str:
    """Name a piece of syntax as a reader would."""
    names = {
        ast.Import: "an import",
        ast.ImportFrom: "an import",
        ast.FunctionDef: "a function",
        ast.AsyncFunctionDef: "a function",
        ast.ClassDef: "a class",
        ast.Lambda: "a lambda",
        ast.JoinedStr: "an f-string",
        ast.Name: f"the variable {getattr(node, 'id', '')}",
        ast.Attribute: "an attribute",
        ast.Subscript: "a subscript",
        ast.BinOp: "a computation",
        ast.NamedExpr: "an assignment inside a value",
        ast.Expr: "a bare expression",
    }
    decorated = " with a decorator" if getattr(node, "decorator_list", None) else ""
    name = names.get(type(node)) or ("a comprehension" if type(node).__name__.endswith("Comp") else None)
    return f"{name or type(node).__name__.lower()}{decorated}"


# ---------------------------------------------------------------------------------------- what values would start


def _refused(name: str, value: Any) -> Iterator[str]:
    """Yield what OpenMMLab would run, import or open because of a value, each after its place."""
    if name == "_base_":
        bases = [value] if isinstance(value, str) else value
        if not isinstance(bases, list | tuple) or not all(isinstance(base, str) for base in bases):
            yield " must be a list of paths"
            return
        yield from (f": {base!r} is no relative path of a config" for base in bases if not _is_base(base))
    elif name == "custom_imports":
        modules = value.get("imports", []) if isinstance(value, dict) else value
        for module in modules if isinstance(modules, list | tuple) else [modules]:
            if not isinstance(module, str) or module not in IMPORTS:
                yield f": imports {str(module)[:80]!r}, which no config needs"
    else:
        yield from _refused_inside(value, name == "model")


def _is_base(base: str) -> bool:
    return base.endswith(".py") and not base.startswith(("/", "~")) and not re.search(r"[\\:\0]", base)


def _refused_inside(value: Any, in_model: bool, place: str = "") -> Iterator[str]:
    """Yield the reasons against a value; a model's texts are handed to constructors, so less is allowed there."""
    if isinstance(value, dict):
        for key, item in value.items():
            if isinstance(key, str) and _NOT_IN_TEXT.search(key):
                yield f"{place}: the key {key[:80]!r} has brackets, quotes or the like"
            if key == "type":
                yield from _refused_type(item, place)
            else:
                yield from _refused_inside(item, in_model, f"{place}.{key}")
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _refused_inside(item, in_model, place)
    elif isinstance(value, str):
        names_weights = place.endswith((".checkpoint", ".pretrained"))
        if reason := _refused_text(value) or (in_model and not names_weights and _refused_in_model(value)):
            yield f"{place}: {value[:80]!r} {reason}"
    elif in_model and isinstance(value, int | float) and abs(value) > MAX_MODEL_NUMBER:
        yield f"{place}: {value} is larger than any number in a model ({MAX_MODEL_NUMBER})"


def _refused_in_model(text: str) -> str:
    """Return why a text may not be an argument of a model's parts; "" if it may."""
    if _NOT_IN_TEXT.search(text):
        return "has brackets, quotes or the like, as code has"
    if "/" in text or re.search(r"\.[A-Za-z]\w{1,5}$", text):
        return "is a path, which no part of a model needs"
    return ""


def _refused_type(name: Any, place: str) -> Iterator[str]:
    if not isinstance(name, str) or not (name in LOWER_TYPES or _TYPE.fullmatch(name)):
        yield f"{place}.type: {str(name)[:80]!r} is not the name of a registered class"
    elif reason := REFUSED_TYPES.get(name.rpartition(".")[2]):
        yield f"{place}.type: {name} {reason}"


def _refused_text(text: str) -> str:
    """Return why a config may not hold a text; "" if it may."""
    if re.match(r"[a-z][a-z0-9+.-]*:", text) and not re.match(r"(https?|torchvision|open-mmlab|mmcls):", text):
        return "is no address that weights are fetched from"
    if "://" in text:
        return ""
    if text.startswith(("/", "~", "\\")) or ".." in PurePosixPath(text).parts or "\0" in text:
        return "is a path outside the checkout"
    if text.lower().endswith((".py", ".pkl", ".pickle", ".yaml", ".yml")):
        return "names a file that would be run"
    return ""


# ------------------------------------------------------------------------------------------------ files and bases


def read_config(path: Path, root: Path, place: Path | None = None) -> Config:
    """Read a config and the files it builds on as data; equal to mmengine's reading of the same files.

    Args:
        path: The config.
        root: The folder that all its bases must lie in.
        place: Where the config will stand below ``root``, if not where it is now: relative bases are looked for there,
            then beside the file.

    Raises:
        MissingFileError: The config or one of its bases is not there.
        ConfigError: One of the files is no plain data or cannot be merged; the message names file, line and why. With
            several reasons it names the first and how many more there are.
    """
    values = _merge(*_read_parts(path, place or path, root.resolve(), []), path)
    return Config(values, cfg_text="", filename=str(path))


def read_with_base(path: Path, root: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what a config's bases say together, and what it says with them; see :func:`read_config`."""
    values, merged = _read_parts(path, path, root.resolve(), [])
    return _without_marks(merged), _merge(values, merged, path)


def _read_parts(path: Path, place: Path, root: Path, above: list[Path]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a config's own values, and those of its bases together."""
    if path in above or len(above) > MAX_FILES:
        raise ConfigError(f"{path}: builds on itself; look at its _base_")
    values = _read(path)
    bases = values.pop("_base_", [])
    merged: dict[str, Any] = {}
    for base in [bases] if isinstance(bases, str) else bases:
        file = _find_base(base, path, place, root)
        part = _merge(*_read_parts(file, file, root, [*above, path]), file)
        if twice := merged.keys() & part.keys():
            raise ConfigError(f"{path}: two of its bases assign {min(twice)}; only one may")
        merged |= part
    return values, merged


def _merge(values: dict[str, Any], base: dict[str, Any], path: Path) -> dict[str, Any]:
    try:
        together: dict[str, Any] = _without_marks(Config._merge_a_into_b(values, base))
    except (KeyError, TypeError, IndexError) as error:
        raise ConfigError(f"{path}: does not fit what it builds on ({error}); correct one of them") from None
    return together


def _read(path: Path) -> dict[str, Any]:
    if not is_file(path):  # nor a device, which may have no end
        raise MissingFileError(f"{path}: no such config; check the path and _base_")
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError(f"{path}: larger than {MAX_BYTES} bytes; a config is a few lines")
        source = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read ({error}); a config is text in UTF-8") from None
    values, problems = parse(source)
    if problems:
        more = f" (and {len(problems) - 1} more reasons)" if len(problems) > 1 else ""
        raise ConfigError(f"{path}: {problems[0]}{more}; a config holds literals alone")
    return values


def _find_base(base: str, path: Path, place: Path, root: Path) -> Path:
    for folder in dict.fromkeys((place.parent, path.parent)):
        file = (folder / base).resolve()
        if file.is_file():
            if not file.is_relative_to(root) and not file.is_relative_to(path.resolve().parent):
                raise ConfigError(f"{path}: builds on {base}, which lies outside {root}; build on configs of the zoo")
            return file
    raise MissingFileError(f"{path}: builds on {base}, which is not there; name a config of the zoo")


def _without_marks(value: Any) -> Any:
    """Drop the marks that tell how to merge, as mmengine does in the end."""
    if isinstance(value, dict):
        return {key: _without_marks(item) for key, item in value.items() if key != "_delete_"}
    if isinstance(value, list | tuple):
        return type(value)(_without_marks(item) for item in value)
    return value
