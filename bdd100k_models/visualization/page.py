"""A self-contained HTML page: scores and pictures of one run, readable without a server or a network."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bdd100k_models.formats.files import write_bytes

_STYLE = """
:root { color-scheme: light dark; --ink: #16202c; --paper: #fbfbf9; --line: #d9dde2; --accent: #0b6e6e; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6eaee; --paper: #14181d; --line: #39424d; --accent: #5cc8c8; }
}
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 0 auto;
       max-width: 78rem; padding: 2rem 1.25rem; }
body { overflow-wrap: anywhere; } th, td { overflow-wrap: normal; }
h1 { margin: 0; font-size: 1.75rem; } h2 { margin: 2rem 0 .75rem; font-size: 1.2rem; }
p.lead { margin: .25rem 0 1.5rem; opacity: .8; }
dl { display: flex; flex-wrap: wrap; gap: .75rem; margin: 0; }
dl div { border: 1px solid var(--line); border-radius: .5rem; padding: .5rem 1rem; }
dt { font-size: .8rem; opacity: .75; } dd { margin: 0; font-size: 1.4rem; font-weight: 600; color: var(--accent); }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .75rem; border-bottom: 1px solid var(--line); text-align: right; }
th:first-child, td:first-child { text-align: left; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(22rem, 100%), 1fr)); gap: 1rem; }
.wide { grid-template-columns: repeat(auto-fit, minmax(min(30rem, 100%), 1fr)); }
.scroll { overflow-x: auto; } .scroll, .grid { margin-top: 1rem; }
.plot { background: #fff; border-radius: .375rem; } .plot svg { width: 100%; height: auto; display: block; }
figure { margin: 0; } img, video { width: 100%; height: auto; border-radius: .375rem; display: block; }
figcaption { font-size: .85rem; opacity: .75; }
pre { overflow-x: auto; padding: .75rem; border: 1px solid var(--line); }
"""


@dataclass
class Section:
    """One part of a page.

    Attributes:
        title: Its heading.
        facts: Figures in boxes, by name.
        text: Paragraphs below the heading.
        table: Rows of cells, the first row being the head.
        plots: SVG drawings with a caption each.
        pictures: Image files, or their bytes (JPEG), with a caption each; they are embedded.
        videos: MP4 files with a caption each; they are embedded.
        wide: Whether plots, pictures and videos stand at most two in a row.
        code: Commands to show.
    """

    title: str
    facts: Mapping[str, str] = field(default_factory=dict)
    text: Sequence[str] = ()
    table: Sequence[Sequence[str]] = ()
    plots: Sequence[tuple[str, str]] = ()
    pictures: Sequence[tuple[Path | bytes, str]] = ()
    videos: Sequence[tuple[Path, str]] = ()
    wide: bool = False
    code: str = ""


def write_page(path: Path, title: str, lead: str, sections: Sequence[Section]) -> None:
    """Write a page.

    Args:
        path: The HTML file.
        title: Its heading.
        lead: A sentence below it.
        sections: What it shows.

    Raises:
        OutputError: The file cannot be written.
    """
    body = "\n".join(_render(section) for section in sections)
    page = (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head>\n"
        f'<body><h1>{html.escape(title)}</h1><p class="lead">{html.escape(lead)}</p>\n{body}\n</body></html>\n'
    )
    write_bytes(path, page.encode())


def _render(section: Section) -> str:
    parts = [f"<section><h2>{html.escape(section.title)}</h2>"]
    if section.facts:
        boxes = "".join(
            f"<div><dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd></div>"
            for name, value in section.facts.items()
        )
        parts.append(f"<dl>{boxes}</dl>")
    parts += [f"<p>{html.escape(paragraph)}</p>" for paragraph in section.text]
    if section.table:
        head, *rows = section.table
        parts.append('<div class="scroll"><table><thead>' + _row(head, "th") + "</thead><tbody>")
        parts += [_row(row, "td") for row in rows]
        parts.append("</tbody></table></div>")
    grid = f'<div class="grid{" wide" if section.wide else ""}">'
    if section.plots:
        figures = "".join(
            f'<figure><div class="plot">{drawing}</div><figcaption>{html.escape(caption)}</figcaption></figure>'
            for drawing, caption in section.plots
        )
        parts.append(f"{grid}{figures}</div>")
    if section.pictures:
        figures = "".join(
            f'<figure><img src="{_embed(file)}" alt="{html.escape(caption)}" loading="lazy">'
            f"<figcaption>{html.escape(caption)}</figcaption></figure>"
            for file, caption in section.pictures
        )
        parts.append(f"{grid}{figures}</div>")
    if section.videos:
        figures = "".join(
            f'<figure><video src="{_embed(file)}" controls autoplay muted loop playsinline></video>'
            f"<figcaption>{html.escape(caption)}</figcaption></figure>"
            for file, caption in section.videos
        )
        parts.append(f"{grid}{figures}</div>")
    if section.code:
        parts.append(f"<pre>{html.escape(section.code)}</pre>")
    parts.append("</section>")
    return "\n".join(parts)


def _row(cells: Sequence[str], tag: str) -> str:
    return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"


_KINDS = {".png": "image/png", ".mp4": "video/mp4"}


def _embed(file: Path | bytes) -> str:
    if isinstance(file, bytes):
        return f"data:image/jpeg;base64,{base64.b64encode(file).decode()}"
    kind = _KINDS.get(file.suffix.lower(), "image/jpeg")
    return f"data:{kind};base64,{base64.b64encode(file.read_bytes()).decode()}"
