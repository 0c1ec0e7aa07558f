from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bdd100k_models.engine.shards import Problem, RunIdentity, Shards
from bdd100k_models.errors import OutputError
from bdd100k_models.formats.results.boxes import DetectionRecord

IDENTITY = RunIdentity(task="det", model="m", weights="w", images="i", precision="full", batch_size=1)


def record(index: int) -> DetectionRecord:
    return DetectionRecord(
        boxes=[(index, 0.1, 2.5, 3.25)] * (index % 3), scores=[0.5] * (index % 3), classes=[1] * (index % 3)
    )


def collect(shards: Shards) -> tuple[list[tuple[str, DetectionRecord]], list[Problem]]:
    problems: list[Problem] = []
    names = [f"{index}.jpg" for index in range(shards.count)]
    return list(shards.records(DetectionRecord, names, problems)), problems


@settings(max_examples=40)
@given(order=st.permutations(range(12)), ranks=st.integers(1, 5))
def test_any_order_and_any_ranks_give_the_same(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], ranks: int
) -> None:
    shards = Shards(tmp_path_factory.mktemp("out"), 12)
    shards.start(IDENTITY)
    for rank in range(ranks):
        with shards.writer(rank) as writer:
            for index in order[rank::ranks]:
                writer.append(index, record(index))
    assert collect(shards)[0] == [(f"{index}.jpg", record(index)) for index in range(12)]


@settings(max_examples=40)
@given(cut=st.integers(0, 900))
def test_a_cut_shard_loses_only_what_was_cut(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    shards = Shards(tmp_path_factory.mktemp("out"), 12)
    shards.start(IDENTITY)
    with shards.writer(0) as writer:
        for index in range(12):
            writer.append(index, record(index))
    path = writer.path
    whole = path.read_bytes()
    path.write_bytes(whole[:cut])
    kept = whole[:cut].count(b"\n")
    assert shards.done().keys() == set(range(kept))
    with shards.writer(1, shards.next_attempt()) as writer:
        for index in range(kept, 12):
            writer.append(index, record(index))
    assert collect(shards)[0] == [(f"{index}.jpg", record(index)) for index in range(12)]


@pytest.mark.parametrize("ranks", [(0, 1), (1, 0)])
def test_a_failed_image_is_done_again(tmp_path: Path, ranks: tuple[int, int]) -> None:
    shards = Shards(tmp_path, 2)
    shards.start(IDENTITY)
    with shards.writer(ranks[0]) as writer:
        writer.append(0, record(0), Problem(name="0.jpg", message="grey", predicted=True))
        writer.append(1, DetectionRecord([], [], []), Problem(name="1.jpg", message="no such file"))
    assert shards.done() == {0: 0}
    with shards.writer(ranks[1], shards.next_attempt()) as writer:
        writer.append(1, record(1))
    results, problems = collect(shards)
    assert results[1] == ("1.jpg", record(1))
    assert [problem.name for problem in problems] == ["0.jpg"]


def test_what_the_newest_attempt_wrote_counts_whoever_wrote_it(tmp_path: Path) -> None:
    shards = Shards(tmp_path, 3)
    shards.start(IDENTITY)
    with shards.writer(1, shards.next_attempt()) as writer:
        for index in range(3):
            problem = Problem(name="1.jpg", message="no such file") if index == 1 else None
            writer.append(index, record(index), problem)
    for attempt in range(1, 12):  # more than a digit can count
        assert shards.next_attempt() == attempt
        with shards.writer(0, attempt) as writer:
            for index in range(3):
                writer.append(index, record(index + attempt))
    assert shards.done() == dict.fromkeys(range(3), 11)
    results, problems = collect(shards)
    assert results == [(f"{index}.jpg", record(index + 11)) for index in range(3)] and problems == []
    # an image that can be read no longer is to be done again, and is not lost meanwhile
    with shards.writer(2, shards.next_attempt()) as writer:
        writer.append(2, record(0), Problem(name="2.jpg", message="no such file"))
    assert shards.done() == {0: 11, 1: 11}
    results, problems = collect(shards)
    assert [name for name, _ in results] == ["0.jpg", "1.jpg", "2.jpg"] and [p.name for p in problems] == ["2.jpg"]


def test_a_missing_image_is_named(tmp_path: Path) -> None:
    shards = Shards(tmp_path, 2)
    shards.start(IDENTITY)
    with shards.writer(0) as writer:
        writer.append(0, record(0))
    with pytest.raises(OutputError, match=r"1\.jpg.*--resume"):
        collect(shards)


def test_a_new_start_forgets_and_an_identity_is_kept(tmp_path: Path) -> None:
    shards = Shards(tmp_path, 2)
    assert shards.identity() is None
    shards.start(IDENTITY)
    with shards.writer(0) as writer:
        writer.append(0, record(0))
    assert shards.identity() == IDENTITY
    shards.start(IDENTITY)
    assert shards.done() == {} and shards.next_attempt() == 0
    shards.remove()
    assert shards.identity() is None


def test_identities_name_what_differs() -> None:
    for field in IDENTITY.__struct_fields__:
        other = msgspec.structs.replace(IDENTITY, **{field: 2 if field == "batch_size" else "other"})
        assert IDENTITY.difference(other) == field.replace("_", " ")
    assert IDENTITY.difference(msgspec.structs.replace(IDENTITY)) is None


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, which Linux has")
def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    shards = Shards(tmp_path, 1)
    shards.start(IDENTITY)
    (shards.folder / "attempt000000-rank000.jsonl").symlink_to("/dev/full")
    with shards.writer(0) as writer, pytest.raises(OutputError, match=r"disk is full.*--resume"):
        writer.append(0, record(0))
