"""Verbs that work on a task: ``bdd100k-models VERB TASK``, and the script of that name in the task's folder."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bdd100k_models.tasks import TASKS, get_task


@dataclass(frozen=True)
class TaskVerb:
    """One such verb.

    Attributes:
        name: As it is typed.
        help: What the list of verbs says.
        description: What ``bdd100k-models VERB --help`` says first.
        script: What the ``--help`` of a task folder's script says first; ``{}`` is the task's title.
        examples: Command lines; ``{call}`` and ``{script}`` are how the verb and the script are called.
        example: The task of the examples.
        add_arguments: Adds the flags and sets ``run``.
    """

    name: str
    help: str
    description: str
    script: str
    examples: str
    example: str
    add_arguments: Callable[[argparse.ArgumentParser], None]

    def register(self, subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
        """Add the verb."""
        from bdd100k_models.cli import HelpFormatter

        script = f"{self.example}/{self.name}.py"
        parser = subparsers.add_parser(
            self.name,
            help=self.help,
            description=self.description,
            formatter_class=HelpFormatter,
            epilog=self.examples.format(call=f"bdd100k-models {self.name} {self.example}", script=script),
        )
        parser.add_argument("task", metavar="TASK", help=f"one of {', '.join(TASKS)}")
        self.add_arguments(parser)

    def main(self, task: str, arguments: Sequence[str] | None = None) -> int:
        """Run the script of a task's folder."""
        from bdd100k_models.cli import HelpFormatter, run_command

        script = f"{self.name}.py"
        parser = argparse.ArgumentParser(
            description=self.script.format(get_task(task).title),
            formatter_class=HelpFormatter,
            epilog=self.examples.format(call=f"python {script}", script=script),
        )
        parser.set_defaults(task=task)
        self.add_arguments(parser)
        return run_command(parser, arguments)
