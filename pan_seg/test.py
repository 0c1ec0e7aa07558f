"""Test a model of panoptic segmentation: ``python test.py CONFIG --format-only --format-dir OUT``."""

import sys

from bdd100k_models.commands.test import main

if __name__ == "__main__":
    sys.exit(main("pan_seg"))
