"""A class of one's own that cannot be imported, built or solved."""

from __future__ import annotations

from tests.cli.bad_input.case import Bad
from tests.cli.bad_input.plant import kiln, twin

SIMULATE = "simulate twin=kiln horizon.stop=60 out=a"
RETURNED = 'return {"wall": (fuel - loss * (wall - 290.0)) / capacity}'


def rhs(body: str, words: str = SIMULATE) -> tuple[str, dict]:
    """Words, and the class with another body of ``rhs``."""
    return words, kiln(RETURNED, body)


def bad(words_and_files: tuple[str, dict], *says: str, **more) -> Bad:
    """A row from what ``rhs`` gives."""
    words, files = words_and_files
    return Bad(words, says, files, **more)


IMPORT: dict[str, Bad] = {
    "a class with a syntax error": Bad(
        SIMULATE,
        ("kiln.py, line 10", "loss = tw.Parameter(", "SyntaxError"),
        kiln("default=0.02, low=0.001, high=0.1)", "default=0.02, low=0.001, high=0.1"),
        foreign=True,
    ),
    "a class with a wrong indent": Bad(
        SIMULATE,
        ("kiln.py, line 17", "IndentationError"),
        kiln("    def outputs", "   def outputs"),
        foreign=True,
    ),
    "a class that imports what is missing": Bad(
        SIMULATE,
        ("kiln.py, line 1:", "import tourch", "No module named 'tourch'"),
        kiln("import torch", "import tourch"),
        foreign=True,
    ),
    "a class that uses an unknown name": Bad(
        SIMULATE,
        ("kiln.py, line 8", "tx.State", "NameError"),
        kiln("tw.State", "tx.State"),
        foreign=True,
    ),
    "a module that ends the program": Bad(
        SIMULATE,
        ("kiln.py, line 2", "sys.exit(3)", "SystemExit"),
        kiln("import torch", "import sys\nsys.exit(3)"),
    ),
    "no such class": Bad(SIMULATE, ("has no 'Kilm'", "'Kiln'"), twin("kiln.Kiln", "kiln.Kilm")),
    "no such module": Bad(
        SIMULATE, ("No module 'klin'", "<here>", "'kiln'"), twin("kiln.Kiln", "klin.Kiln")
    ),
    "a class without its module": Bad(SIMULATE, ("module.Class",), twin("kiln.Kiln", "Kiln")),
    "a path instead of a module": Bad(
        SIMULATE, ("kiln.py:Kiln", "module.Class"), twin("kiln.Kiln", '"kiln.py:Kiln"')
    ),
    "something that is no Physics": Bad(
        SIMULATE, ("kiln.torch is not a Physics class",), twin("kiln.Kiln", "kiln.torch")
    ),
    "a class that inherits nothing": Bad(
        SIMULATE, ("kiln.Kiln is not a Physics class",), kiln("(tw.Physics)", "")
    ),
    "a twin without a class": Bad(
        SIMULATE, ("names no class", "_target_: module.Class"), twin("_target_: kiln.Kiln", "")
    ),
    "a class that needs arguments": Bad(
        SIMULATE,
        ("kiln.Kiln", "no arguments", "layers"),
        kiln(
            "    def rhs",
            "    def __init__(self, layers):\n        super().__init__()\n\n    def rhs",
        ),
        foreign=True,
    ),
    "an argument that the class does not take": Bad(
        SIMULATE, ("kiln.Kiln", "colour"), twin("kiln.Kiln", "kiln.Kiln, colour: red"), foreign=True
    ),
    "a class whose __init__ fails": Bad(
        SIMULATE,
        ("kiln.py, line 16", "self.table = open('table.csv')", "table.csv"),
        kiln(
            "    def rhs",
            "    def __init__(self):\n        super().__init__()\n"
            "        self.table = open('table.csv')\n\n    def rhs",
        ),
        foreign=True,
    ),
    "a class that forgets super().__init__": Bad(
        SIMULATE,
        ("kiln.py, line 15", "super().__init__()"),
        kiln(
            "    def rhs",
            "    def __init__(self):\n        self.layers = torch.nn.Linear(1, 1)\n\n    def rhs",
        ),
        foreign=True,
    ),
}

DECLARED: dict[str, Bad] = {
    "bounds that cross": Bad(
        SIMULATE, ("'loss'", "low=0.2", "high=0.1"), kiln("low=0.001", "low=0.2")
    ),
    "a default outside its bounds": Bad(
        SIMULATE, ("'loss'", "default=2", "[0.001, 0.1]"), kiln("default=0.02", "default=2.0")
    ),
    "an unknown unit in a class": Bad(
        SIMULATE, ("'fuel'", "'kWatt'"), kiln('"kW", default', '"kWatt", default')
    ),
    "a unit left out": Bad(SIMULATE, ("kiln.py, line 9", "unit"), kiln('"kW", ', ""), foreign=True),
    "a time unit that is no time": Bad(
        SIMULATE,
        ("time_unit='kg'", "measure time"),
        kiln("    wall =", "    time_unit = 'kg'\n    wall ="),
    ),
    "no rhs": Bad(SIMULATE, ("declares states", "no rhs"), kiln("def rhs", "def right")),
    "no outputs": Bad(
        SIMULATE, ("declares outputs", "no outputs()"), kiln("def outputs", "def seen")
    ),
    "an undeclared argument": Bad(
        SIMULATE,
        ("Kiln.rhs", "'los'", "'loss'"),
        kiln("fuel, loss, capacity):", "fuel, los, capacity):"),
    ),
    "arguments by *args": Bad(
        SIMULATE, ("Kiln.rhs", "*rest", "by name"), kiln("fuel, loss, capacity):", "*rest):")
    ),
    "a name that is taken": Bad(
        SIMULATE,
        ("declares 't'", "already taken"),
        kiln("    fuel =", '    t = tw.Input("s")\n    fuel ='),
    ),
    "a state without an initial value": Bad(
        SIMULATE, ("'wall'", "no initial value"), kiln("initial=290.0, ", "")
    ),
    "a parameter without a value": Bad(
        SIMULATE, ("'loss'", "no default"), kiln("default=0.02, ", "")
    ),
    "an input without a value": Bad(SIMULATE, ("'fuel'", "no default"), kiln(", default=2.0", "")),
}

RETURNS: dict[str, Bad] = {
    "too few derivatives": bad(rhs("return {}"), "Kiln.rhs", "['wall']"),
    "a derivative too many": bad(
        rhs('return {"wall": fuel, "floor": fuel}'), "Kiln.rhs", "['floor']", "not declared"
    ),
    "a misspelt derivative": bad(rhs('return {"wal": fuel}'), "Kiln.rhs", "'wall'", "'wal'"),
    "a derivative of the wrong shape": bad(
        rhs('return {"wall": torch.stack([fuel, fuel])}'), "Kiln.rhs", "'wall'", "(2, 1)"
    ),
    "a derivative summed over the rows": bad(
        rhs('return {"wall": torch.ones(7)}'), "Kiln.rhs", "'wall'", "(7,)"
    ),
    "a tuple of derivatives": bad(rhs("return (fuel,)"), "Kiln.rhs", "tuple", "dict"),
    "no derivatives": bad(rhs("fuel - loss"), "Kiln.rhs", "nothing", "return"),
    "a bare tensor": bad(rhs("return fuel"), "Kiln.rhs", "Tensor", "dict"),
    "a numpy array": bad(
        rhs('import numpy\n        return {"wall": numpy.ones(1)}'), "Kiln.rhs", "ndarray", "'wall'"
    ),
    "a derivative that is None": bad(
        rhs('return {"wall": None}'), "Kiln.rhs", "NoneType", "'wall'"
    ),
    "a complex derivative": bad(
        rhs('return {"wall": torch.sqrt(fuel + 0j)}'), "Kiln.rhs", "'wall'", "complex"
    ),
    "an rhs that raises": bad(
        rhs('return {"wall": 1 / 0}'), "kiln.py, line 15", '"wall": 1 / 0', "ZeroDivisionError"
    ),
    "an rhs that misses a name": bad(
        rhs('return {"wall": fule}'), "kiln.py, line 15", "fule", "NameError", foreign=True
    ),
    "an rhs that asks a tensor for truth": bad(
        rhs(
            'if wall > 300.0:\n            fuel = 0.0 * fuel\n        return {"wall": fuel}',
            "sweep twin=kiln scenario=soak samples=8 workers=1 out=a",
        ),
        "kiln.py, line 15",
        "if wall > 300.0",
        "torch.where",
        foreign=True,
    ),
    "an rhs that leaves torch": bad(
        rhs(
            'import math\n        return {"wall": fuel - math.exp(wall)}',
            "sweep twin=kiln scenario=soak samples=8 workers=1 out=a",
        ),
        "kiln.py, line 16",
        "math.exp(wall)",
        foreign=True,
    ),
    "an rhs that ends the program": bad(
        rhs("raise SystemExit(4)"), "kiln.py, line 15", "SystemExit: 4"
    ),
    "an rhs without end": bad(
        rhs("return self.rhs(wall, fuel, loss, capacity)"),
        "kiln.py, line 15",
        "RecursionError",
        foreign=True,
    ),
    "outputs that lack one": Bad(
        SIMULATE, ("Kiln.outputs", "['reading']"), kiln('{"reading": wall}', "{}")
    ),
    "an initial() with an unknown state": Bad(
        SIMULATE,
        ("Kiln.initial", "'wal'", "'wall'"),
        kiln(
            "    def rhs",
            '    def initial(self, loss):\n        return {"wal": loss}\n\n    def rhs',
        ),
    ),
}

NAN = 'return {"wall": 0.0 * wall / 0.0}'
FAILS: dict[str, Bad] = {
    "a model that fails everywhere, simulated": bad(
        rhs(NAN), "kiln failed at t = 0 s", "nan", code=1, keeps=("a",)
    ),
    "a model that fails everywhere, calibrated": bad(
        rhs(NAN, "calibrate twin=kiln starts=2 out=a"),
        "2 starts",
        "finite",
        code=1,
        keeps=("a",),
    ),
    "a model that fails everywhere, swept": bad(
        rhs(NAN, "sweep twin=kiln scenario=soak samples=8 workers=1 out=a"),
        "Every sample failed",
        "table.parquet",
        code=1,
        keeps=("a",),
    ),
    "a model that takes too many steps": Bad(
        SIMULATE + " solver.max_steps=2", ("kiln failed at t = ", "max_steps"), code=1, keeps=("a",)
    ),
    "a record that says nothing about the fit": Bad(
        "calibrate twin=kiln fit=[capacity] starts=1 out=a",
        ("says nothing about capacity",),
        rhs('return {"wall": fuel - loss * (wall - 290.0)}')[1],
        code=1,
        keeps=("a",),
    ),
}
