"""The static site: what it holds, and how it behaves in a real browser."""

from __future__ import annotations

import functools
import gzip
import html.parser
import http.server
import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pytest

from bdd100k_models.cli import main
from bdd100k_models.errors import InputError, OutputError
from bdd100k_models.tasks import TASKS
from bdd100k_models.zoo.records import all_models, config_files, load_zoo
from bdd100k_models.zoo.site import write_site
from bdd100k_models.zoo.site.entries import all_entries, rare_columns, table_columns

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Request

MODEL = "cascade_rcnn_convnext-s_fpn_fp16_3x_det_bdd100k"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    write_site(folder, force=True)
    return folder


class Links(html.parser.HTMLParser):
    """Collects addresses and visible text, and checks that elements are closed in order."""

    EMPTY = frozenset({"meta", "link", "img", "wbr", "input", "br"})

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(page.read_text(encoding="utf-8"))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.EMPTY:
            self.open.append(tag)
        self.links += [value for key, value in attrs if key in ("href", "src") and value]

    def handle_endtag(self, tag: str) -> None:
        # the end of an optional element closes what stands in it
        while self.open and self.open[-1] in ("option", "td", "th", "tr", "li", "dt", "dd") and self.open[-1] != tag:
            self.open.pop()
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_every_row_has_a_page_with_its_figures_and_links(site: Path) -> None:
    for task, _, model in all_models().values():
        page = Links(site / task / f"{model.name}.html")
        text = "".join(page.text)
        for value in model.columns.values():
            assert value in text
        for url in model.links.values():
            assert "://" not in url or url in page.links
        if model.parameters is not None:
            assert f"{model.parameters / 1e6:.1f} M" in text


def test_published_figures_of_the_facts_are_on_the_pages(site: Path, shared: Path) -> None:
    """Against the published tables themselves, not this project's copy of them."""
    facts = json.loads((shared / "facts/zoo.json").read_text())
    rows = [row for row in json.dumps(facts).split('"') if row.startswith("https://dl.cv.ethz.ch/")]
    assert len(rows) > 1000
    pages = "\n".join(page.read_text() for page in site.glob("*/*.html"))
    assert [url for url in rows if url not in pages] == []


def test_the_tables_list_every_row_once(site: Path) -> None:
    index = (site / "index.html").read_text()
    assert sorted(re.findall(r'<tr data-name="([^"]+)"', index)) == sorted(all_models())
    for task in TASKS:
        table = (site / task / "index.html").read_text()
        names = [model.name for method in load_zoo(task) for model in method.models]
        assert re.findall(r'<tr data-name="([^"]+)"', table) == names


def test_other_zoos_are_not_counted_among_the_published(site: Path) -> None:
    index = (site / "index.html").read_text()
    ours = [task for task, method, _ in all_models().values() if method.is_ours]
    assert f"{len(ours)} published models" in index
    assert f"<span>{ours.count('det')} models, and 2 of other zoos</span>" in index
    assert "<span>1 model</span>" in index
    assert f"categories. {ours.count('det')} models, and 2 of other zoos." in (site / "det/index.html").read_text()


def test_every_link_inside_the_site_leads_somewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        links = Links(page)
        assert links.open == []
        for url in links.links:
            if "://" not in url and not url.startswith("data:"):
                assert (page.parent / unquote(url)).is_file(), f"{page.name}: {url}"


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    for page in [site / "index.html", site / "det/index.html", site / f"det/{MODEL}.html"]:
        loaded = re.findall(r'<(?:script|img)[^>]+src="([^"]+)"|<link[^>]+href="([^"]+)"', page.read_text())
        assert loaded
        assert not [pair for pair in loaded if "//" in "".join(pair)]


def test_licences_of_the_libraries_ship_with_them(site: Path) -> None:
    vendor = site / "assets/vendor"
    assert {path.name for path in vendor.glob("LICENCE-*")} == {"LICENCE-chartjs.txt", "LICENCE-datatables.txt"}
    assert all("Permission is hereby granted" in path.read_text() for path in vendor.glob("LICENCE-*"))
    table = (vendor / "README.md").read_text()
    assert all(path.name in table for path in vendor.iterdir() if path.suffix in (".js", ".css"))
    assert re.search(r"DataTables 3\.1\.5", (vendor / "dataTables.min.js").read_text()[:100])


def test_the_front_page_is_small(site: Path) -> None:
    """All published models, with what the page loads, as a server sends it and as it lies on the disk."""
    links = {url for url in Links(site / "index.html").links if "://" not in url and not url.startswith("data:")}
    files = [site / "index.html", *(site / url for url in links if not url.endswith(".html"))]
    assert sum(path.stat().st_size for path in files) < 1_000_000
    assert sum(len(gzip.compress(path.read_bytes())) for path in files) < 350_000


def test_all_pages_are_small_together(site: Path) -> None:
    assert sum(len(gzip.compress(path.read_bytes())) for path in site.rglob("*.html")) < 1_000_000


def test_rows_of_another_zoo_are_marked(site: Path) -> None:
    others = [entry for entry in all_entries() if not entry.method.is_ours]
    assert others
    for entry in others:
        text = (site / entry.page).read_text()
        assert 'class="badge"' in text
        assert "no weights of it are published" in text
        assert "bdd100k-models test" not in text


def test_links_to_the_sources_are_on_request(tmp_path: Path, site: Path) -> None:
    write_site(tmp_path / "site", repository="https://example.org/zoo/blob/main/")
    config = config_files("det")[MODEL].name
    assert (
        f'"https://example.org/zoo/blob/main/det/configs/det/{config}"'
        in (tmp_path / f"site/det/{MODEL}.html").read_text()
    )
    assert "example.org" not in (site / f"det/{MODEL}.html").read_text()


def test_markup_in_the_data_is_shown_as_text() -> None:
    from bdd100k_models.zoo.site.build import _environment

    assert "&lt;b&gt;" in _environment().from_string("{{ x }}").render(x="<b>")


def test_commands_are_ones_that_there_are(site: Path) -> None:
    """Each command on a page is parsed by the program itself."""
    from bdd100k_models.cli import build_parser
    from bdd100k_models.zoo.site.usage import commands

    parser = build_parser()
    seen = set()
    for entry in all_entries():
        for _, command in commands(entry):
            words = command.split()
            assert words[0] == "bdd100k-models"
            args = parser.parse_args(words[1:])
            seen.add((args.verb, entry.task.name))
    assert seen >= {(verb, task) for verb in ("test", "train", "zoo") for task in TASKS}


def test_columns_of_several_tables_become_one(site: Path) -> None:
    rows = [entry for entry in all_entries() if entry.task.name == "ins_seg"]
    assert table_columns(rows)[-4:] == ["Mask AP-val", "Box AP-val", "Mask AP-test", "Box AP-test"]
    assert table_columns([]) == []
    det = [entry for entry in all_entries() if entry.task.name == "det"]
    assert rare_columns(det) == {"Tricks", "Proposals", "FP16", "Strong"}
    assert rare_columns([]) == frozenset()
    assert rows[0].model.headline == ("Mask AP-val", "Mask AP-test")


def test_bad_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(OutputError, match="not empty"):
        write_site(tmp_path)
    with pytest.raises(InputError, match="--repository"):
        write_site(tmp_path / "new", repository="github.com/x")
    assert main(["zoo", "site", str(tmp_path)]) == 2
    assert "--force" in capsys.readouterr().err
    assert main(["zoo", "site", str(tmp_path / "new")]) == 0
    assert "models" in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "note.txt"]


def test_the_site_needs_no_deep_learning_libraries() -> None:
    code = "import sys, bdd100k_models.zoo.site; sys.exit(any(m in sys.modules for m in ('torch', 'mmengine')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium without a window."""
    api = pytest.importorskip("playwright.sync_api", reason="needs playwright, which drives the browser")
    programs = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    program = next(filter(None, map(shutil.which, programs)), None)
    if program is None:
        pytest.skip("needs a browser: chromium or google-chrome (apt-get install chromium)")
    with api.sync_playwright() as playwright:
        # as root, as in a container, chromium has no sandbox of its own
        chromium = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def origin(site: Path) -> str:
    """Where the pages come from: a folder."""
    return site.as_uri()


@pytest.fixture
def server(site: Path) -> Iterator[str]:
    """The same pages below a path of a server of static files, as a project's pages are."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(site.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as files:
        threading.Thread(target=files.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{files.server_port}/{site.name}"
        files.shutdown()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page whose every complaint fails the test."""

    def complain(request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # what was still being fetched when the test went to another page
            complaints.append(f"{request.url}: {request.failure}")

    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")
    context.set_default_timeout(15_000)
    tab = context.new_page()
    complaints: list[str] = []
    tab.on("console", lambda message: complaints.append(message.text))
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on("requestfailed", complain)
    yield tab
    context.close()
    assert complaints == []


def shown(page: Page) -> list[str]:
    """The names of the models that the table shows."""
    return page.locator("table.models tbody tr[data-name]").evaluate_all("rows => rows.map(r => r.dataset.name)")


def sort(page: Page, column: str, order: str) -> list[str]:
    """Click on a column's heading; return the names in the new order."""
    page.locator("table.models thead th").filter(has=page.get_by_text(column, exact=True)).click()
    page.locator(f"th[aria-sort={order}]").wait_for()
    return shown(page)


def total(page: Page) -> int:
    """The number below the table."""
    match = re.search(r"of (\d+) models|of (\d+) entries", page.locator(".dt-info").inner_text())
    assert match
    return int(match[1] or match[2])


def points(page: Page) -> int:
    """The number of points in the plot."""
    script = (
        "() => Chart.getChart(document.querySelector('canvas')).data.datasets.reduce((n, d) => n + d.data.length, 0)"
    )
    return page.evaluate(script)


@pytest.mark.parametrize("task", ["mot", "sem_seg", "det"])
def test_the_page_of_a_task_filters_by_backbone(page: Page, origin: str, task: str) -> None:
    page.goto(f"{origin}/{task}/index.html")
    entries = [entry for entry in all_entries() if entry.task.name == task]
    for backbone in sorted({entry.backbone for entry in entries})[:3]:
        page.get_by_label("Backbone", exact=True).select_option(backbone)
        assert total(page) == sum(entry.backbone == backbone for entry in entries)


def test_search_sort_filter_and_plot(page: Page, origin: str) -> None:
    page.goto(f"{origin}/index.html")
    assert total(page) == len(all_models())
    assert not page.locator("figure.plot").is_visible()

    page.get_by_label("Search").fill("hrnet 3x ins_seg")
    wanted = {
        name for name, (task, _, _) in all_models().items() if task == "ins_seg" and "hrnet" in name and "3x" in name
    }
    assert wanted
    assert set(shown(page)) == wanted
    page.get_by_role("button", name="Reset").click()
    assert total(page) == len(all_models())

    page.get_by_label("Task", exact=True).select_option("Object Detection")
    det = [entry for entry in all_entries() if entry.task.name == "det"]
    assert total(page) == len(det)
    assert page.locator("figure.plot").is_visible()
    assert points(page) == len([entry for entry in det if entry.model.parameters])

    assert (sort(page, "Val", "ascending")[0], sort(page, "Val", "descending")[0]) == (
        min(det, key=lambda entry: float(entry.score_val)).name,
        max(det, key=lambda entry: float(entry.score_val)).name,
    )
    assert sort(page, "Parameters (M)", "ascending")[0] in {e.name for e in det if not e.model.parameters} | {
        min((e for e in det if e.model.parameters), key=lambda e: e.model.parameters or 0).name
    }

    page.get_by_label("Method", exact=True).select_option("RetinaNet")
    assert {name.split("_")[0] for name in shown(page)} == {"retinanet"}
    assert points(page) == total(page) == 3


def test_the_plot_can_show_flops(page: Page, origin: str) -> None:
    page.goto(f"{origin}/pan_seg/index.html")
    place = "() => Chart.getChart(document.querySelector('canvas')).data.datasets[0].data.map(({ x, y }) => [x, y])"
    rows = [entry.model for entry in all_entries() if entry.task.name == "pan_seg"]
    scores = [float(row.columns["PQ-val"]) for row in rows]
    assert page.evaluate(place) == [[row.parameters / 1e6, y] for row, y in zip(rows, scores, strict=True)]
    page.get_by_label("Accuracy against", exact=True).select_option("flops")
    assert page.evaluate(place) == [[row.flops / 1e9, y] for row, y in zip(rows, scores, strict=True)]


def test_below_a_path_of_a_server(page: Page, server: str) -> None:
    page.goto(f"{server}/")
    page.get_by_label("Task", exact=True).select_option("Panoptic Segmentation")
    assert points(page) == total(page) == 5
    page.get_by_role("link", name="panoptic_fpn_r50_fpn_1x_pan_seg_bdd100k").click()
    page.wait_for_url("**/pan_seg/*.html")
    page.get_by_role("link", name="All models").click()
    page.wait_for_url("**/index.html")
    assert total(page) == len(all_models())


def test_a_view_can_be_sent_to_someone(page: Page, origin: str) -> None:
    page.goto(f"{origin}/pose/index.html")
    page.get_by_label("Search").fill("hrnet")
    page.wait_for_function("location.hash.includes('hrnet')")
    before, address = shown(page), page.url
    page.goto("about:blank")
    page.goto(address)
    assert shown(page) == before
    assert before
    assert page.get_by_label("Search").input_value() == "hrnet"


def test_a_point_leads_to_its_model(page: Page, origin: str) -> None:
    page.goto(f"{origin}/pan_seg/index.html")
    place = page.evaluate(
        """() => {
          const chart = Chart.getChart(document.querySelector("canvas"));
          const { x, y } = chart.getDatasetMeta(0).data[0];
          return { x, y, name: chart.data.datasets[0].data[0].name };
        }"""
    )
    page.locator("canvas").click(position={"x": place["x"], "y": place["y"]})
    page.wait_for_url(f"**/pan_seg/{place['name']}.html")
    assert place["name"] in page.locator("h1").inner_text()


def test_copying_a_command(page: Page, origin: str) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"{origin}/det/{MODEL}.html")
    page.locator("button.copy").first.click()
    page.get_by_role("button", name="Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == f"bdd100k-models zoo download {MODEL}"


def test_copying_without_the_right_to_the_clipboard(page: Page, origin: str) -> None:
    page.add_init_script("delete Navigator.prototype.clipboard")
    page.goto(f"{origin}/det/{MODEL}.html")
    page.evaluate("document.addEventListener('copy', () => (window.copied = getSelection().toString()))")
    page.locator("button.copy").nth(1).click()
    page.get_by_role("button", name="Copied").wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark(browser: Browser, site: Path, scheme: str) -> None:
    context = browser.new_context(color_scheme=scheme)
    tab = context.new_page()
    tab.goto(f"{site.as_uri()}/index.html")
    ground = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)[0]"
    assert (tab.evaluate(ground) < 128) == (scheme == "dark")
    tab.get_by_role("button", name="Change between light and dark").click()
    assert (tab.evaluate(ground) < 128) == (scheme == "light")
    tab.reload()
    assert (tab.evaluate(ground) < 128) == (scheme == "light")
    context.close()


@pytest.mark.parametrize(
    "name",
    [
        "index.html",
        "det/index.html",
        "tagging/index.html",
        f"det/{MODEL}.html",
        "pan_seg/panoptic_fpn_r101_fpn_3x_pan_seg_bdd100k.html",
    ],
)
def test_readable_on_a_phone(browser: Browser, site: Path, name: str) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    tab = context.new_page()
    tab.goto(f"{site.as_uri()}/{name}")
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    assert tab.evaluate("parseFloat(getComputedStyle(document.body).fontSize)") >= 16
    if table := tab.locator("table.models").count():
        visible = tab.locator("table.models thead th:visible").all_inner_texts()
        assert "Model" in visible
        assert len(visible) <= 4
        row = tab.locator("table.models tbody tr[data-name]").first
        row.locator("td").first.click(position={"x": 5, "y": 10})
        assert tab.locator("table.models tr.child").count() == table
        assert tab.locator("table.models tr.child a").count() == (0 if name == "index.html" else 6)
    context.close()


def test_the_tables_stand_without_scripts(browser: Browser, site: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(f"{site.as_uri()}/index.html")
    assert tab.locator("table.models tbody tr").count() == len(all_models())
    context.close()


def test_interactive_soon(page: Page, site: Path) -> None:
    """The page measures itself; the best of several tries, since other work may hold the machine up."""
    times = []
    for _ in range(5):
        page.goto(f"{site.as_uri()}/index.html")
        times.append(page.evaluate("performance.getEntriesByName('interactive')[0].startTime"))
    assert min(times) < 1000
