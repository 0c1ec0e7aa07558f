"""Who does what: batches of images, or whole videos, dealt out to the processes of a run."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import groupby

from bdd100k_models.datasets.images import ImageSet
from bdd100k_models.errors import InputError


def share_work(images: ImageSet, batch_size: int, done: Collection[int], ranks: int) -> list[list[range]]:
    """Return the batches of each process.

    Single images are cut into batches in their order before anything is left out, so the arithmetic of an image is the
    same for any number of processes and after any interruption. A video is never divided: a tracker needs all of its
    frames, in order and one at a time. Videos go to the process with the fewest frames so far, long ones first, and
    each runs its own in their order; one that an interruption cut short begins anew.

    Args:
        images: The images, or the frames of videos.
        batch_size: Images a forward pass.
        done: Indices of the images that need not be done again.
        ranks: Number of processes.

    Raises:
        InputError: Frames of videos are to go in batches.
    """
    if not any(item.video is not None for item in images.items):
        starts = range(0, len(images.items), batch_size)
        batches = [range(start, min(start + batch_size, len(images.items))) for start in starts]
        left = [batch for batch in batches if not all(index in done for index in batch)]
        # dealt out like cards, so that processes stay level
        return [left[rank::ranks] for rank in range(ranks)]
    if batch_size != 1:
        raise InputError(f"--batch-size {batch_size}: the frames of a video are taken one by one; leave it out")
    videos = [video for video in _videos(images) if not all(index in done for index in video)]
    shares: list[list[range]] = [[] for _ in range(ranks)]
    for video in sorted(videos, key=lambda frames: (-len(frames), frames.start)):
        smallest = min(range(ranks), key=lambda rank: (len(shares[rank]), rank))
        shares[smallest] += [range(index, index + 1) for index in video]
    return [sorted(share, key=lambda batch: batch.start) for share in shares]


def leave_out_torn(images: ImageSet, done: Mapping[int, int]) -> set[int]:
    """Return what is done, but for videos whose frames several attempts did.

    The tracks of one attempt are not those of another: one that was cut short replaced the first frames alone.

    Args:
        images: The images, or the frames of videos.
        done: The attempt that did each, by index.
    """
    torn = {
        index
        for video in _videos(images)
        if images.items[video.start].video is not None and len({done[index] for index in video if index in done}) > 1
        for index in video
    }
    return done.keys() - torn


def _videos(images: ImageSet) -> list[range]:
    """Return the frames of each video, which stand together."""
    videos = []
    for _, frames in groupby(range(len(images.items)), key=lambda index: images.items[index].video):
        indices = list(frames)
        videos.append(range(indices[0], indices[-1] + 1))
    return videos
