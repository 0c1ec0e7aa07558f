"""``bdd100k-models zoo site``: the zoo as web pages."""

from __future__ import annotations

import argparse
from pathlib import Path

_EXAMPLES = """\
examples:
  bdd100k-models zoo site pages
  bdd100k-models zoo site pages --force --repository https://github.com/OWNER/NAME/blob/main

Open pages/index.html, or publish the folder as it is on any host of static files.
"""


def add_action(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the action ``site`` to those of ``zoo``."""
    from bdd100k_models.cli import HelpFormatter

    parser = actions.add_parser(
        "site",
        help="make a static site of all models",
        description=(
            "Make a static site of all models below DIR: tables to search, sort and filter, plots of accuracy against "
            "parameters, and a page a model with its files and commands. It needs no server and no network."
        ),
        formatter_class=HelpFormatter,
        epilog=_EXAMPLES,
    )
    parser.add_argument("folder", metavar="DIR", type=Path, help="folder to make")
    parser.add_argument(
        "--repository", default="", metavar="URL", help="address of the source tree's files, for links to configs"
    )
    parser.add_argument("--force", action="store_true", help="write into a folder that is not empty")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the site."""
    from bdd100k_models.zoo.site import write_site

    print(write_site(args.folder, repository=args.repository, force=args.force))
    return 0
