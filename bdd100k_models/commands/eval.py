"""``bdd100k-models eval``: the official evaluation of a result."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

_EPILOG = """\
tasks: det, ins_seg, sem_seg, drivable, pan_seg, pose, box_track (or mot), seg_track (or mots), lane_mark, tagging

forms: JSON (a file, or a folder of files) for every task; for the tasks with masks also a folder of PNG files, on both
sides: bitmasks for ins_seg (with --score-file), pan_seg and seg_track, label masks for sem_seg, drivable and lane_mark

examples:
  bdd100k-models eval -t det -g data/bdd100k/labels/det_20/det_val.json -r out/det.json
  bdd100k-models eval -t ins_seg -g data/bdd100k/labels/ins_seg/bitmasks/val -r out/bitmasks --score-file out/score.json
  bdd100k-models eval -t pan_seg -g data/bdd100k/labels/pan_seg/bitmasks/val -r out/bitmasks --nproc 4
  bdd100k-models eval -t det -g labels.json -r det.json --out-file scores.json --engine official
"""

#: As many worker processes as the official tool starts at most.
_PROCESSES = 4


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
    parser.add_argument("-r", "--result", type=Path, required=True, help="predictions, in the same form")
    parser.add_argument("-c", "--config", help="config file of the official tool (default: the task's own)")
    parser.add_argument("--iou-thr", type=float, default=0.5, help="least overlap of a match, in tracking (0.5)")
    parser.add_argument(
        "--ignore-iof-thr", type=float, default=0.5, help="share of a box in an ignored region, in tracking (0.5)"
    )
    parser.add_argument(
        "--nproc", type=int, help=f"worker processes, where a task uses them (default: one a CPU, at most {_PROCESSES})"
    )
    parser.add_argument("--out-file", type=Path, help="also write the scores here, as the official tool does")
    parser.add_argument("--score-file", type=Path, help="scores of instances, beside bitmasks (ins_seg)")
    parser.add_argument("--hota", action="store_true", help="add HOTA to the scores of a tracking task")
    parser.add_argument("-q", "--quiet", action="store_true", help="only the table, no notes")
    parser.add_argument("--engine", choices=("ours", "official"), default="ours", help="who computes (default: ours)")
    parser.add_argument("--json", action="store_true", help="print JSON (null for NaN) instead of the table")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Evaluate, print and save; return the exit status."""
    from bdd100k_models.errors import InputError
    from bdd100k_models.evaluation.run import Options, evaluate

    if args.nproc is not None and args.nproc < 1:
        raise InputError(f"--nproc {args.nproc}: give a number of processes, 1 or more")
    for flag, value in (("--iou-thr", args.iou_thr), ("--ignore-iof-thr", args.ignore_iof_thr)):
        if not 0 <= value <= 1:
            raise InputError(f"{flag} {value}: give a share from 0 to 1")
    options = Options(
        config=args.config,
        iou_threshold=args.iou_thr,
        ignore_iof_threshold=args.ignore_iof_thr,
        processes=args.nproc or min(_PROCESSES, os.cpu_count() or 1),
        score_file=args.score_file,
        hota=args.hota,
    )
    result = evaluate(args.task, args.gt, args.result, options, engine=args.engine)
    if not args.quiet:
        for note in result.notes:
            print(f"note: {note}", file=sys.stderr)
    print(result.to_strict_json() if args.json else result.table())
    if args.out_file:
        result.save(args.out_file)
    return 0
