"""Commands to copy from a model's page."""

from __future__ import annotations

from bdd100k_models.zoo.site.entries import Entry


def commands(entry: Entry) -> list[tuple[str, str]]:
    """Return what can be done with a model here: titles and command lines; none for a model that does not run here."""
    if not entry.method.is_ours:
        return []
    task, name = entry.task.name, entry.name
    files = "drive.mp4" if entry.task.videos else "my_pictures"
    return [
        ("Fetch the weights", f"bdd100k-models zoo download {name}"),
        ("Test and score", f"bdd100k-models test {task} {name} --data-root data/bdd100k --format-dir out --eval"),
        ("Run on pictures or videos of your own", f"bdd100k-models predict {name} {files}"),
        ("Train", f"bdd100k-models train {task} {name} --data-root data/bdd100k"),
    ]
