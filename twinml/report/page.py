"""A self-contained HTML page: text, figures inside, tables; no script, nothing loaded."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, final

from twinml.data.atomic import replacing

_CSS = """
:root{color-scheme:light}
body{font:16px/1.55 system-ui,"Segoe UI","DejaVu Sans",sans-serif;color:#1d2733;background:#fff;
 max-width:920px;margin:0 auto;padding:32px 24px 64px}
h1{font-size:30px;line-height:1.2;margin:0 0 4px}
h2{font-size:21px;margin:44px 0 8px;padding-top:14px;border-top:1px solid #dde3e9}
.sub{color:#66727f;margin:0 0 24px}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(190px,1fr));gap:12px;margin:20px 0}
.card{border:1px solid #dde3e9;border-radius:8px;padding:12px 14px}
.card b{display:block;font-size:21px;line-height:1.25}
.card span{color:#66727f;font-size:13.5px;display:block}
figure{margin:18px 0}
img{max-width:100%;height:auto;display:block}
figcaption{color:#66727f;font-size:14px;margin-top:6px}
.scroll{overflow-x:auto}
table{border-collapse:collapse;font-size:14px;margin:12px 0;font-variant-numeric:tabular-nums}
th,td{padding:5px 12px 5px 0;text-align:left;border-bottom:1px solid #dde3e9;vertical-align:top}
th{color:#66727f;font-weight:600}
td.n,th.n{text-align:right}
td.k{color:#66727f;white-space:nowrap}
code,pre{font:13.5px/1.45 ui-monospace,"DejaVu Sans Mono",monospace}
pre{background:#f5f7f9;border-radius:6px;padding:10px 12px;overflow-x:auto}
td{overflow-wrap:anywhere}
@media print{body{max-width:none;padding:0}h2{break-after:avoid}figure,table{break-inside:avoid}}
"""


@final
class Page:
    """Collects the parts of a page in reading order."""

    def __init__(self, title: str, subtitle: str) -> None:
        self.title = title
        self.figures: list[Path] = []
        self.parts = [f"<h1>{escape(title)}</h1>", f'<p class="sub">{escape(subtitle)}</p>']

    def heading(self, text: str) -> None:
        """Begin a section."""
        self.parts.append(f"<h2>{escape(text)}</h2>")

    def paragraph(self, text: str) -> None:
        """A paragraph of plain text."""
        self.parts.append(f"<p>{escape(text)}</p>")

    def note(self, text: str) -> None:
        """A paragraph where there is something to say."""
        if text:
            self.paragraph(text)

    def cards(self, items: Sequence[tuple[str, str]]) -> None:
        """Key figures: (value, what it is)."""
        cells = "".join(
            f'<div class="card"><b>{escape(value)}</b><span>{escape(what)}</span></div>'
            for value, what in items
        )
        self.parts.append(f'<div class="cards">{cells}</div>')

    def figure(self, png: Path, caption: str) -> None:
        """A PNG, embedded, with the caption as its text alternative."""
        self.figures.append(png)
        data = base64.b64encode(png.read_bytes()).decode()
        text = escape(caption)
        self.parts.append(
            f'<figure><img alt="{text}" src="data:image/png;base64,{data}">'
            f"<figcaption>{text}</figcaption></figure>"
        )

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """A table; columns of numbers are set right."""
        numeric = [
            all(isinstance(row[i], (int, float)) or row[i] is None for row in rows)
            for i in range(len(columns))
        ]
        classes = [' class="n"' if n else "" for n in numeric]
        head = "".join(f"<th{c}>{escape(n)}</th>" for c, n in zip(classes, columns, strict=True))
        body = "".join(
            "<tr>"
            + "".join(f"<td{c}>{escape(shown(v))}</td>" for c, v in zip(classes, row, strict=True))
            + "</tr>"
            for row in rows
        )
        self.parts.append(
            f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody>'
            "</table></div>"
        )

    def facts(self, items: Mapping[str, Any]) -> None:
        """Name and value, one a row."""
        body = "".join(
            f'<tr><td class="k">{escape(str(name))}</td><td>{escape(shown(value))}</td></tr>'
            for name, value in items.items()
        )
        self.parts.append(f'<div class="scroll"><table><tbody>{body}</tbody></table></div>')

    def code(self, text: str) -> None:
        """Text to copy."""
        self.parts.append(f"<pre>{escape(text)}</pre>")

    def write(self, path: Path) -> Path:
        """Write the page; it appears whole or not at all."""
        head = (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width,initial-scale=1">'
            f"<title>{escape(self.title)}</title><style>{_CSS}</style></head><body>"
        )
        text = head + "\n".join(self.parts) + "</body></html>\n"
        with replacing(path) as temporary:
            Path(temporary).write_text(text, encoding="utf-8")
        return path


def shown(value: Any) -> str:
    """A value for a reader: floats to four significant digits, thousands separated."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)
