"""Draw labels or predictions of semantic segmentation: ``python vis.py -i IMAGES -c COLORS -o OUT``."""

import sys

from bdd100k_models.commands.vis import main

if __name__ == "__main__":
    sys.exit(main("sem_seg"))
