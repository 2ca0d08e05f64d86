"""A package that is also a verb works in whatever order its parts are imported."""

from __future__ import annotations

import subprocess
import sys

import pytest

PARENT = """
def __getattr__(name):
    import importlib
    if name == "brew":
        return importlib.import_module("house.brew").brew
    raise AttributeError(name)
"""
PACKAGE = '''
from twinml.callable_module import make_callable
from house.brew.pot import cups

def brew(leaves: str, *, minutes: int = 3) -> str:
    """Make tea."""
    return f"{cups} of {leaves} after {minutes}"

make_callable(__name__, "brew")
'''
ORDERS = [
    "import house; assert house.brew('green', minutes=2) == '2 of green after 2'",
    "import house; house.brew('a'); import house.brew; assert house.brew('a') == '2 of a after 3'",
    "import house.brew.pot, house; assert house.brew('a') == '2 of a after 3'",
    "from house.brew import brew; import house; assert house.brew('a') == brew('a')",
    "import house; from house.brew import brew; assert house.brew.brew('a') == brew('a')",
    "import house.brew, inspect as i; assert 'minutes' in i.signature(house.brew).parameters",
    "import house.brew, pickle; assert pickle.loads(pickle.dumps(house.brew)) is house.brew",
]


@pytest.mark.parametrize("code", ORDERS)
def test_package_and_verb_agree_in_any_order(tmp_path, code, monkeypatch):
    (tmp_path / "house" / "brew").mkdir(parents=True)
    (tmp_path / "house" / "__init__.py").write_text(PARENT)
    (tmp_path / "house" / "brew" / "__init__.py").write_text(PACKAGE)
    (tmp_path / "house" / "brew" / "pot.py").write_text("cups = 2\n")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {code}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_export_is_package_and_verb():
    import twinml as tw
    import twinml.export
    from twinml.export import export, verify

    assert callable(tw.export)
    assert tw.export.export is export and tw.export.verify is verify
