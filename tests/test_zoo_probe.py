"""Links of a contribution: asked for an answer, never led into the own network, bounded in size."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from bdd100k_models.cli import main
from bdd100k_models.errors import DownloadError
from bdd100k_models.zoo.check import Checklist, CheckOptions, check_entry, files
from bdd100k_models.zoo.download import transfer
from bdd100k_models.zoo.download.probe import probe, refuse_private
from contribution import NAME, Contribution
from zoo_server import ZooServer, serving

PAGES = ("paper", "ada", "code", "usage")


@pytest.fixture
def server() -> Iterator[ZooServer]:
    with serving() as made:
        yield made


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BDD100K_MODELS_CACHE", str(tmp_path / "cache"))
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(transfer, "PAUSE", 0.01)
    monkeypatch.setattr(transfer, "TIMEOUT", (2.0, 2.0))


@pytest.fixture
def published(server: ZooServer, tmp_path: Path) -> Contribution:
    """A contribution of which only the config is beside the entry: the rest is on the server."""
    made = Contribution(tmp_path, server.address)
    for folder in ("models", "preds", "scores-val", "scores-test", "visuals"):
        for path in (made.folder / folder).iterdir():
            server.files[f"/{folder}/{path.name}"] = path.read_bytes()
        shutil.rmtree(made.folder / folder)
    server.files |= {f"/{page}": b"a page" for page in PAGES}
    return made


def check(contribution: Contribution) -> Checklist:
    return check_entry(contribution.folder, CheckOptions(data_root=contribution.data_root, private=True))[0]


def test_a_contribution_is_checked_from_its_links_alone(published: Contribution, tmp_path: Path) -> None:
    report = check(published)
    assert report.problems == []
    assert all(item.passed for item in report.items.values()), report.lines()
    arguments = ["zoo", "check", str(published.folder), "--data-root", str(published.data_root), "--private-links"]
    assert main([*arguments, "--strict"]) == 0


@pytest.mark.parametrize("path", ["/code", f"/models/{NAME}.pth", f"/visuals/{NAME}.zip", f"/scores-test/{NAME}.json"])
def test_a_link_that_is_broken_has_its_line(published: Contribution, server: ZooServer, path: str) -> None:
    del server.files[path]
    report = check(published)
    assert any(path in problem and "404" in problem for problem in report.items["links"].problems)
    assert not report.items["links"].passed


def test_pages_may_turn_programs_away_and_files_may_not(published: Contribution, server: ZooServer) -> None:
    server.plans["/ada"] = [403] * 9
    report = check(published)
    assert report.items["links"].problems == []
    assert "turns programs away (403)" in report.items["links"].unchecked[0]
    assert not report.items["links"].passed
    server.plans["/ada"] = []
    server.plans[f"/preds/{NAME}.json"] = [403] * 9
    assert "answers 403" in check(published).items["links"].problems[0]


def test_without_a_flag_nothing_of_the_own_network_is_opened(published: Contribution, server: ZooServer) -> None:
    report = check_entry(published.folder, CheckOptions(data_root=published.data_root))[0]
    assert server.asked == []
    assert all("is not a public address" in problem for problem in report.items["links"].problems)
    assert "is not a public address" in report.items["md5"].problems[0]


def test_a_file_that_is_too_large_is_not_fetched(
    published: Contribution, server: ZooServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(files.LIMITS, "weights", 1000)
    report = check(published)
    assert "more than the 1000 bytes allowed" in report.items["md5"].problems[0]
    assert not list((tmp_path / "cache").rglob("weights*"))


@pytest.mark.parametrize(
    ("plan", "status"), [([], 200), ([302], 200), ([503, 429], 200), ([404], 404), ([503] * 9, 503), ([410], 410)]
)
def test_answers(server: ZooServer, plan: list[int], status: int) -> None:
    server.files["/x"] = b"x"
    server.plans["/x"] = list(plan)
    assert probe(f"{server.address}/x", private=True) == status


def test_no_answer_is_explained(server: ZooServer) -> None:
    server.plans["/x"] = ["circle"]
    with pytest.raises(DownloadError, match="redirects in circles"):
        probe(f"{server.address}/x", private=True)
    with pytest.raises(DownloadError, match="cannot be reached"):
        probe("http://127.0.0.1:9/x", private=True)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/x",
        "http://localhost/x",
        "http://169.254.169.254/latest/meta-data",
        "http://10.0.0.1/",
        "http://192.168.1.1/",
        "http://[::1]/",
        "http://[fe80::1]/",
        "http://0.0.0.0/",
        "http://2130706433/",
        "http://[::ffff:127.0.0.1]/",
        "file:///etc/passwd",
        "ftp://127.0.0.1/",
        "http://",
        "http://a..b/",
    ],
)
def test_addresses_that_are_not_public_are_refused(url: str) -> None:
    with pytest.raises(DownloadError):
        refuse_private(url)
    with pytest.raises(DownloadError):
        probe(url)


def test_a_redirect_cannot_lead_into_the_own_network(
    server: ZooServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.files["/secret"] = b"secret"
    server.plans["/secret/moved"] = [302]
    asked = f"{server.address}/secret/moved"

    def guard(url: str) -> None:
        if url != asked:
            refuse_private(url)

    with pytest.raises(DownloadError, match="is not a public address"):
        transfer.fetch(asked, tmp_path / "file", bounds=transfer.Bounds(guard=guard))
    assert [path for path, _ in server.asked] == ["/secret/moved"]
    assert not (tmp_path / "file").exists()


def test_what_comes_with_a_redirect_is_not_read(server: ZooServer, tmp_path: Path) -> None:
    server.files["/x"] = b"x"
    server.plans["/x"] = ["flood"]
    assert transfer.fetch(f"{server.address}/x", tmp_path / "x", bounds=transfer.Bounds(100)).read_bytes() == b"x"
    server.plans["/x"] = ["flood"]
    assert probe(f"{server.address}/x", private=True) == 200
    assert server.flooded < 32 << 20


def test_passwords_are_those_of_the_address(server: ZooServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("default login ada password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    server.files["/x"] = b"x"
    server.plans["/x"] = [302, 302]
    transfer.fetch(f"{server.address}/x", tmp_path / "x")
    assert probe(f"{server.address}/x", private=True) == 200
    assert set(server.passwords) == {None}
    transfer.fetch(f"http://ben:key@127.0.0.1:{server.server_port}/x", tmp_path / "y")
    assert server.passwords[-1] == "Basic YmVuOmtleQ=="


@pytest.mark.parametrize("announced", [True, False])
def test_a_size_is_bounded_whatever_the_server_says(
    server: ZooServer, tmp_path: Path, announced: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.files["/x"] = bytes(500_000)
    if not announced:
        monkeypatch.setattr(transfer, "_total", lambda response: None)
    with pytest.raises(DownloadError, match="more than the 100000 bytes allowed"):
        transfer.fetch(f"{server.address}/x", tmp_path / "x", bounds=transfer.Bounds(100_000))
    assert list(tmp_path.iterdir()) == [] or not (tmp_path / "x").exists()
    assert json.dumps([path.name for path in tmp_path.iterdir() if path.suffix == ".part"]) == "[]"
