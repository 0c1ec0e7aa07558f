"""Ranges of the numbers that flags take."""

from __future__ import annotations

import argparse

from bdd100k_models.errors import InputError


def check_least(args: argparse.Namespace, least: int, *names: str) -> None:
    """Raise InputError where a flag's number is less than ``least``; one that was not given passes."""
    for name in names:
        value = getattr(args, name)
        if value is not None and value < least:
            raise InputError(f"{_flag(name)} must be at least {least}, not {value}")


def check_share(args: argparse.Namespace, *names: str) -> None:
    """Raise InputError where a flag's number is not from 0 to 1."""
    for name in names:
        if not 0 <= getattr(args, name) <= 1:
            raise InputError(f"{_flag(name)} must be from 0 to 1, not {getattr(args, name):g}")


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
