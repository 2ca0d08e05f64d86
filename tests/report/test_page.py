"""Pages carry everything they show, and whatever text they are given."""

from __future__ import annotations

import re

import numpy as np

from twinml.data.table import Table
from twinml.report.page import Page, shown
from twinml.report.risk import distribution_figure, risk_figure


def test_a_page_is_one_file_that_loads_nothing(tmp_path):
    column = np.random.default_rng(0).normal(size=500)
    png = distribution_figure(tmp_path / "x.png", {"x": column}, {"x": "kg"})
    page = Page("A title", "a subtitle")
    page.heading("First")
    page.figure(png, "what it shows")
    page.table(("name", "value"), [["x", 1.5], ["y", None]])
    page.facts({"seed": 3})
    text = page.write(tmp_path / "page.html").read_text()
    assert 'alt="what it shows"' in text
    sources = re.findall(r'(?:src|href)="([^"]{0,22})', text)
    assert sources and all(source.startswith("data:image/png;base64") for source in sources)
    assert "<script" not in text


def test_text_cannot_become_markup(tmp_path):
    page = Page("<b>", 'a "quoted" & <i>text</i>')
    page.paragraph("<script>alert(1)</script>")
    page.table(("<th>",), [["<td>"]])
    text = page.write(tmp_path / "page.html").read_text()
    assert "<script>" not in text and "<i>" not in text and "<b></h1>" not in text


def test_the_same_figure_gives_the_same_bytes(tmp_path):
    curve = Table(
        {
            "from": np.array([0.0, 1.0]), "to": np.array([1.0, 2.0]),
            "probability": np.array([0.2, 0.7]), "lower": np.array([0.1, 0.6]),
            "upper": np.array([0.3, 0.8]),
        },
        {},
    )  # fmt: skip
    a = risk_figure(tmp_path / "a.png", curve, "day", "day", "too much", 0.9)
    b = risk_figure(tmp_path / "b.png", curve, "day", "day", "too much", 0.9)
    assert a.read_bytes() == b.read_bytes()


def test_numbers_are_shown_for_a_reader():
    assert [shown(v) for v in (None, True, 12, 1234567, 0.123456, "x")] == [
        "-", "yes", "12", "1,234,567", "0.1235", "x",
    ]  # fmt: skip
