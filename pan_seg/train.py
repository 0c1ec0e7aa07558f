"""Train a model of panoptic segmentation: ``python train.py CONFIG``."""

import sys

from bdd100k_models.commands.train import main

if __name__ == "__main__":
    sys.exit(main("pan_seg"))
