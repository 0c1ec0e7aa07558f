"""Whether the links of a contribution answer."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from bdd100k_models.errors import DownloadError
from bdd100k_models.zoo.check.entry import Entry, is_address
from bdd100k_models.zoo.check.report import Checklist
from bdd100k_models.zoo.download.probe import probe

_AT_ONCE = 8
#: Answers by which pages turn programs away that people can open.
_FOR_PEOPLE = {401, 403, 405, 429, 999}


def check_links(entry: Entry, report: Checklist, *, private: bool) -> None:
    """Ask every address of an entry for an answer.

    Pages (of papers, authors, code) that turn programs away count as not checked; files have to answer.

    Args:
        entry: The entry.
        report: Where the findings go.
        private: Whether links may lead into the own network.
    """
    pages, files = _addresses(entry)
    urls = list(dict.fromkeys([*files, *pages]))
    if not urls:
        report.skip("links", "the entry has no link that can be opened")
        return
    report.start("links")
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        answers = list(pool.map(lambda url: _answer(url, private), urls))
    for url, answer in zip(urls, answers, strict=True):
        if isinstance(answer, str):
            report.fail("links", f"{url}: {answer}")
        elif answer in _FOR_PEOPLE and url not in files:
            report.skip("links", f"{url}: turns programs away ({answer}); open it yourself")
        elif not 200 <= answer < 400:
            report.fail("links", f"{url}: answers {answer}")


def _addresses(entry: Entry) -> tuple[list[str], list[str]]:
    """Return the addresses of pages and of files that can be asked for."""
    pages = [entry.paper.url, *(author.url or "" for author in entry.authors), entry.code, entry.usage]
    files = [url for model in entry.models for kind, url in model.links.items() if kind != "config"]
    return [url for url in pages if is_address(url)], [url for url in files if is_address(url)]


def _answer(url: str, private: bool) -> int | str:
    try:
        return probe(url, private=private)
    except DownloadError as error:
        return str(error)
