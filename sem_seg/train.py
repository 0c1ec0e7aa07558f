"""Train a semantic segmentation model: ``python train.py CONFIG``."""

import sys

from bdd100k_models.commands.train import main

if __name__ == "__main__":
    sys.exit(main("sem_seg"))
