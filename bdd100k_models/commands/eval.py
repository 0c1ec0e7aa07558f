"""``bdd100k-models eval``: the official evaluation of a result."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bdd100k_models.commands.limits import check_least, check_share
from bdd100k_models.errors import InputError
from bdd100k_models.tasks import TAGS

if TYPE_CHECKING:
    from bdd100k_models.evaluation.config import Options

_EPILOG = """\
tasks: det, ins_seg, sem_seg, drivable, pan_seg, pose, box_track (or mot), seg_track (or mots), lane_mark, tagging

forms: JSON (a file, or a folder of files) for every task; for the tasks with masks also a folder of PNG files, on both
sides: bitmasks for ins_seg (with --score-file), pan_seg and seg_track, label masks for sem_seg, drivable and lane_mark

examples:
  bdd100k-models eval -t det -g data/bdd100k/labels/det_20/det_val.json -r out/det.json
  bdd100k-models eval -t ins_seg -g data/bdd100k/labels/ins_seg/bitmasks/val -r out/bitmasks --score-file out/score.json
  bdd100k-models eval -t pan_seg -g data/bdd100k/labels/pan_seg/bitmasks/val -r out/bitmasks --nproc 4
  bdd100k-models eval -t det -g labels.json -r det.json --out-file scores.json --engine official
  bdd100k-models eval -t det -g labels.json -r det.json --slices weather timeofday
  bdd100k-models eval -t sem_seg -g masks -r out/masks --slices --attributes det_val.json
  bdd100k-models eval -t det -g labels.json -r det.json --report report --images data/bdd100k/images/100k/val
  bdd100k-models eval -t det -g labels.json --compare old.json new.json --samples 1000 --json
"""

#: As many worker processes as the official tool starts at most.
_PROCESSES = 4

#: Flags that say more about another one, by their name among the arguments.
_BELONGING = {
    "--slices": ("attributes",),
    "--report": ("images", "worst"),
    "--compare": ("samples", "seed", "confidence"),
}


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to the command line."""
    parser = subparsers.add_parser(
        "eval",
        help="score a result against ground truth, as the official tool does",
        description="Score a result against ground truth: the flags and numbers of bdd100k.eval.run.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-t", "--task", required=True, help="what to evaluate, as the official tool names it")
    parser.add_argument(
        "-g", "--gt", type=Path, required=True, help="ground truth: JSON, or a folder of JSON or PNG files"
    )
    parser.add_argument("-r", "--result", type=Path, help="predictions, in the same form (required but for --compare)")
    parser.add_argument("-c", "--config", help="config file of the official tool (default: the task's own)")
    parser.add_argument("--iou-thr", type=float, default=0.5, help="least overlap of a match, in tracking (0.5)")
    parser.add_argument(
        "--ignore-iof-thr", type=float, default=0.5, help="share of a box in an ignored region, in tracking (0.5)"
    )
    parser.add_argument(
        "--nproc", type=int, help=f"worker processes, where a task uses them (default: one a CPU, at most {_PROCESSES})"
    )
    parser.add_argument("--out-file", type=Path, help="also write the scores here, as the official tool does")
    parser.add_argument(
        "--score-file",
        type=Path,
        nargs="+",
        help="scores of instances, beside bitmasks (ins_seg); two files, of A and of B, with --compare",
    )
    parser.add_argument("--hota", action="store_true", help="add HOTA to the scores of a tracking task")
    parser.add_argument("-q", "--quiet", action="store_true", help="only the table, no notes")
    parser.add_argument("--engine", choices=("ours", "official"), default="ours", help="who computes (default: ours)")
    parser.add_argument("--json", action="store_true", help="print JSON (null for NaN) instead of the table")
    _register_more(parser)
    parser.set_defaults(run=run)


def _register_more(parser: argparse.ArgumentParser) -> None:
    """Add what the official tool does not have."""
    slices = parser.add_argument_group("slices of the data set")
    slices.add_argument(
        "--slices",
        nargs="*",
        metavar="TAG",
        help="also score each value of weather, scene and timeofday alone (default: all three)",
    )
    slices.add_argument(
        "--attributes",
        type=Path,
        metavar="FILE",
        help="labels that give these, where the ground truth does not (masks)",
    )
    report = parser.add_argument_group("report")
    report.add_argument("--report", type=Path, metavar="DIR", help="write a page with tables, curves and worst images")
    report.add_argument("--images", type=Path, metavar="DIR", help="folder of the pictures, to draw the worst images")
    report.add_argument("--worst", type=int, metavar="N", help="how many of the worst images to show (12)")
    comparison = parser.add_argument_group("comparison of two results")
    comparison.add_argument(
        "--compare", type=Path, nargs=2, metavar=("A", "B"), help="two results: differences with bootstrap intervals"
    )
    comparison.add_argument("--samples", type=int, metavar="N", help="samples of the bootstrap (1000)")
    comparison.add_argument("--seed", type=int, help="of the samples (0)")
    comparison.add_argument("--confidence", type=float, help="share of samples in an interval (0.95)")


def run(args: argparse.Namespace) -> int:
    """Evaluate, print and save; return the exit status."""
    from bdd100k_models.evaluation.run import evaluate

    _check(args)
    if args.compare:
        return _compare(args)
    if args.slices is not None or args.report:
        return _assess(args)
    result = evaluate(args.task, args.gt, args.result, _options(args), engine=args.engine)
    _show(args, result.notes, result.to_strict_json() if args.json else result.table())
    if args.out_file:
        result.save(args.out_file)
    return 0


def _check(args: argparse.Namespace) -> None:
    """Refuse what cannot work, or would be passed over, before anything is evaluated."""
    if bool(args.compare) == (args.result is not None):
        raise InputError("give the predictions, --result FILE; or two of them, --compare A B")
    more = args.compare or args.slices is not None or args.report
    if more and args.engine != "ours":
        raise InputError("slices, reports and comparisons come from --engine ours; leave --engine out")
    if args.compare and (args.slices is not None or args.report):
        raise InputError("--compare goes without --slices and --report; run them for each result")
    for flag, others in _BELONGING.items():
        given = [other for other in others if getattr(args, other) is not None]
        if given and getattr(args, flag.removeprefix("--")) is None:
            raise InputError(f"--{given[0]} does nothing without {flag}; add it, or leave --{given[0]} out")
    _check_numbers(args)
    _check_score_files(args)
    if args.slices:
        from bdd100k_models.evaluation.slices import check_tags

        check_tags(args.slices)


def _check_numbers(args: argparse.Namespace) -> None:
    check_least(args, 1, "nproc", "samples")
    check_least(args, 0, "worst", "seed")
    check_share(args, "iou_thr", "ignore_iof_thr")
    if args.confidence is not None and not 0 < args.confidence < 1:
        raise InputError(f"--confidence {args.confidence}: give a share between 0 and 1")


def _check_score_files(args: argparse.Namespace) -> None:
    from bdd100k_models.evaluation.run import task_name
    from bdd100k_models.paths import is_file

    if not args.score_file:
        return
    if task_name(args.task) != "ins_seg" or any(is_file(result) for result in args.compare or [args.result]):
        raise InputError("--score-file goes with folders of bitmasks of ins_seg; leave it out")
    if len(args.score_file) != (2 if args.compare else 1):
        raise InputError("--score-file: give one file, or with --compare two: that of A and that of B")


def _given(args: argparse.Namespace, *names: str) -> dict[str, Any]:
    """Return the arguments that were given; the others are left to the functions' own defaults."""
    return {name: getattr(args, name) for name in names if getattr(args, name) is not None}


def _options(args: argparse.Namespace, place: int = 0) -> Options:
    from bdd100k_models.evaluation.config import Options
    from bdd100k_models.processes import cores

    return Options(
        config=args.config,
        iou_threshold=args.iou_thr,
        ignore_iof_threshold=args.ignore_iof_thr,
        processes=args.nproc or min(_PROCESSES, cores()),
        score_file=args.score_file[place] if args.score_file else None,
        hota=args.hota,
    )


def _show(args: argparse.Namespace, notes: Sequence[str], text: str) -> None:
    if not args.quiet:
        for note in notes:
            print(f"note: {note}", file=sys.stderr)
    print(text)


def _assess(args: argparse.Namespace) -> int:
    """Evaluate with slices, and write the report."""
    from bdd100k_models.evaluation import slices
    from bdd100k_models.evaluation.run import assess

    assessment = assess(args.task, args.gt, args.result, _options(args))
    if args.attributes:
        assessment = replace(assessment, units=slices.read_scenes(args.attributes, assessment.units))
    result, units = assessment.result, assessment.units
    parts, notes = [], list(result.notes)
    table = result.table()
    if args.slices is not None:
        tags = args.slices or tuple(TAGS)
        parts = slices.slice_scores(assessment, tags)
        notes += slices.slice_notes(tags, units)
        result = replace(result, extras={"slices": slices.slices_json(parts, units)})
        table += "\n" + slices.slices_table(parts, result, units)
    _show(args, notes, result.to_strict_json() if args.json else table)
    if args.out_file:
        result.save(args.out_file)
    if args.report:
        from bdd100k_models.evaluation.report import Sources, write_report

        sources = Sources(args.gt, args.result, args.images, args.config)
        page = write_report(args.report, assessment, parts, sources, **_given(args, "worst"))
        print(f"report: {page}", file=sys.stderr)
    return 0


def _compare(args: argparse.Namespace) -> int:
    """Compare two results."""
    from bdd100k_models.evaluation.compare import compare
    from bdd100k_models.evaluation.result import strict_json
    from bdd100k_models.evaluation.run import assess
    from bdd100k_models.formats.files import write_bytes

    first, second = (assess(args.task, args.gt, side, _options(args, place)) for place, side in enumerate(args.compare))
    comparison = compare(first, second, **_given(args, "samples", "seed", "confidence"))
    content = strict_json(comparison.content())
    _show(args, comparison.notes, content if args.json else comparison.table())
    if args.out_file:
        write_bytes(args.out_file, content.encode())
    return 0
