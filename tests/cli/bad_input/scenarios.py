"""A scenario that contradicts itself or its twin."""

from __future__ import annotations

from tests.cli.bad_input.case import Bad
from tests.cli.bad_input.plant import scenario

FILE = "configs/scenario/soak.yaml"
SWEEP = "sweep twin=kiln scenario=soak samples=8 workers=1"
VARIED = "loss: {distribution: uniform, low: 0.01, high: 0.05}"


def vary(text: str, *says: str, words: str = SWEEP, **more) -> Bad:
    """The scenario with another entry under ``vary``."""
    return Bad(words, says, scenario(VARIED, text), **more)


def quantity(text: str, *says: str) -> Bad:
    """The scenario with another quantity."""
    return Bad(SWEEP, says, scenario("hottest: max(reading)", text))


def change(text: str, *says: str) -> Bad:
    """The scenario with a timed change."""
    return Bad(SWEEP, says, scenario("quantities:", f"changes: [{text}]\nquantities:"))


FORM: dict[str, Bad] = {
    "no horizon": Bad(
        SWEEP, ("soak", "'horizon'"), scenario("horizon: {start: 0, stop: 60, unit: s}", "")
    ),
    "half a horizon": Bad(SWEEP, ("horizon", "'stop'"), scenario("stop: 60, ", "")),
    "a horizon that runs backwards": Bad(
        SWEEP, ("horizon", "-5", "stop must follow start"), scenario("stop: 60", "stop: -5")
    ),
    "a horizon of another dimension": Bad(
        SWEEP, ("horizon", "'m'", "'s'"), scenario("unit: s}", "unit: m}")
    ),
    "a horizon with an unknown unit": Bad(
        SWEEP, ("horizon", "'sek'"), scenario("unit: s}", "unit: sek}")
    ),
    "a horizon that is text": Bad(SWEEP, ("horizon", "'long'"), scenario("stop: 60", "stop: long")),
    "no quantities": Bad(
        SWEEP, ("soak", "'quantities'"), scenario("quantities:\n  hottest: max(reading)\n", "")
    ),
    "a misspelt part": Bad(
        SWEEP, ("'quantites'", "'quantities'"), scenario("quantities:", "quantites:")
    ),
    "an unknown design": Bad(
        SWEEP, ("design", "'sobl'", "'sobol'"), scenario("vary:", "design: sobl\nvary:")
    ),
    "a grid that does not come out": Bad(
        "sweep twin=kiln scenario=soak samples=10 workers=1",
        ("grid", "10", "samples=9"),
        scenario(
            VARIED, VARIED + "\n  capacity: {distribution: uniform, low: 1, high: 9}\ndesign: grid"
        ),
    ),
    "a scenario that is a list": Bad(SWEEP, (FILE, "list", "key: value"), {FILE: "- horizon\n"}),
    "a scenario with a key twice": Bad(
        SWEEP, (FILE, "line 6", "hottest"), scenario("(reading)\n", "(reading)\n  hottest: 1\n")
    ),
    "a threshold for an unknown quantity": Bad(
        SWEEP,
        ("exceedance", "'hotest'", "'hottest'"),
        scenario("vary:", "exceedance: {hotest: 300}\nvary:"),
    ),
    "an unknown tag": Bad(
        SWEEP, ("tags", "'basline'", "'baseline'"), scenario("vary:", "tags: [basline]\nvary:")
    ),
    "a correlation with what is not varied": Bad(
        SWEEP,
        ("correlation", "'los'", "'loss'"),
        scenario("vary:", "correlation: {los: {x: 1}}\nvary:"),
    ),
    "a constraint that nothing meets": Bad(
        SWEEP,
        ("loss > 0.06", "acceptance 0"),
        scenario("vary:", "constraints: [loss > 0.06]\nvary:"),
    ),
    "elementary effects of what a constraint ties": Bad(
        SWEEP + " morris=8",
        ("capacity > 100 * loss", "no such step", "loss, capacity", "Sobol"),
        scenario(
            VARIED,
            VARIED + "\n  capacity: {distribution: uniform, low: 1, high: 9}\n"
            'constraints: ["capacity > 100 * loss"]',
        ),
    ),
    "a profile with a gap": Bad(
        SWEEP,
        ("duty.csv", "line 3", "'kw'", "missing"),
        {
            **scenario("vary:", "profiles: {fuel: {path: duty.csv, column: kw}}\nvary:"),
            "duty.csv": "time,kw\n0,2\n30,\n60,2\n",
        },
    ),
    "a scenario's key from the command line": Bad(
        SWEEP + " scenario.horizn.stop=9", ("'horizn'", "'horizon'")
    ),
}

VARY: dict[str, Bad] = {
    "an unknown quantity to vary": vary(
        "los: {distribution: uniform, low: 0.01, high: 0.05}", "vary los", "'loss'"
    ),
    "a state to vary": vary("wall: 300", "vary wall", "initial.wall"),
    "an output to vary": vary("reading: 300", "vary reading", "output"),
    "an unknown initial value": vary("initial.wal: 300", "initial.wal", "'wall'"),
    "an unknown distribution": vary(
        "loss: {distribution: unifrom, low: 0.01, high: 0.05}",
        "vary loss",
        "'unifrom'",
        "'uniform'",
    ),
    "a distribution that lacks a key": vary(
        "loss: {distribution: uniform, low: 0.01}", "vary loss", "'high'"
    ),
    "a distribution with a key of another": vary(
        "loss: {distribution: uniform, low: 0.01, std: 0.05}", "vary loss", "'std'", "low, high"
    ),
    "a cut of listed values": vary(
        "loss: {distribution: truncated, of: {distribution: choice, values: [1]}, low: 0.01}",
        "vary loss",
        "of is choice",
        "gamma",
    ),
    "a cut that leaves nothing": vary(
        "loss: {distribution: truncated, of: {distribution: uniform, low: 0.01, high: 0.02}, "
        "low: 0.03}",
        "vary loss",
        "nothing of the uniform",
    ),
    "no distribution": vary("loss: {low: 0.01, high: 0.05}", "vary loss", "distribution"),
    "a distribution whose bounds cross": vary(
        "loss: {distribution: uniform, low: 0.05, high: 0.01}", "vary loss", "low=0.05", "high=0.01"
    ),
    "a distribution outside the validity bounds": vary(
        "loss: {distribution: uniform, low: 0.01, high: 5}", "vary loss", "5", "0.1"
    ),
    "a negative spread": vary(
        "loss: {distribution: normal, mean: 0.02, std: -1}", "vary loss", "std=-1", "positive"
    ),
    "a distribution with text for a number": vary(
        "loss: {distribution: uniform, low: low, high: 0.05}", "vary loss", "'low'", "number"
    ),
    "a distribution of another dimension": vary(
        "loss: {distribution: uniform, low: 0.01, high: 0.05, unit: kg}", "loss", "'kg'", "'kW/K'"
    ),
    "weights that do not fit": vary(
        "loss: {distribution: choice, values: [0.01, 0.02], weights: [1]}",
        "vary loss",
        "1 weights for 2 values",
    ),
    "a table that is not there": vary(
        "loss: {distribution: table, path: loss.csv, column: loss}", "loss.csv", "CSV or Parquet"
    ),
    "a table without the column": vary(
        "loss: {distribution: table, path: kiln.csv, column: burnr}",
        "kiln.csv",
        "'burnr'",
        "'burner'",
    ),
    "calibrated without a calibration": vary(
        "loss: {distribution: calibrated}", "loss", "calibration=", "twinml calibrate"
    ),
    "calibrated and not fitted": vary(
        "capacity: {distribution: calibrated}",
        "'capacity'",
        "fitted loss",
        words=SWEEP + " calibration=cal",
        given=("cal",),
    ),
    "calibrated with a unit": vary(
        "loss: {distribution: calibrated, unit: kW/K}", "vary loss", "leave 'unit' out"
    ),
    "excepted by a number": vary(f"{VARIED}\nexcept: 3", "except is 3", "list"),
    "excepted and not fitted": vary(
        "capacity: 6\nexcept: [los]",
        "except",
        "'los'",
        words=SWEEP + " calibration=cal",
        given=("cal",),
    ),
}

EXPRESSIONS: dict[str, Bad] = {
    "an unknown name in a quantity": quantity(
        "hottest: max(raeding)", "hottest", "'raeding'", "'reading'"
    ),
    "an unknown function in a quantity": quantity(
        "hottest: maxx(reading)", "hottest", "maxx", "max"
    ),
    "a state without a time": quantity("hottest: wall - 290", "hottest", "final(wall)"),
    "half an expression": quantity("hottest: max(reading", "hottest", "max(reading"),
    "Python in a quantity": quantity("hottest: __import__('os').getcwd()", "hottest"),
    "an attribute in a quantity": quantity("hottest: reading.max()", "hottest"),
    "a list in a quantity": quantity("hottest: [1, 2]", "hottest"),
    "a division by zero in a quantity": quantity("hottest: max(reading) / 0", "hottest", "zero"),
    "an arithmetic of numbers that overflows": quantity("hottest: 10 ** 10 ** 10", "hottest"),
    "a quantity named as a column": quantity("status: max(reading)", "'status'", "taken"),
    "a change of an unknown target": change(
        "{at: 10, multiply: {los: 2}}", "change 1", "'los'", "'loss'"
    ),
    "a change of a state": change("{at: 10, set: {wall: 300}}", "change 1", "'wall'"),
    "a change without a time": change("{multiply: {loss: 2}}", "change 1", "at: time"),
    "a change with two actions": change(
        "{at: 10, multiply: {loss: 2}, add: {fuel: 1}}", "change 1", "2 actions"
    ),
    "a change with an unknown action": change("{at: 10, scale: {loss: 2}}", "change 1", "'scale'"),
    "a change that divides by zero": change(
        "{at: 10, multiply: {loss: 1 / 0}}", "change 1", "zero"
    ),
    "a change at an unknown time": change("{at: dya, multiply: {loss: 2}}", "change 1", "'dya'"),
    "a change at a time with a unit": change(
        "{at: 10 min, multiply: {loss: 2}}", "change 1", "10 min"
    ),
    "a change with Python": change("{at: 10, set: {fuel: open('/etc/passwd')}}", "change 1"),
}

RARE: dict[str, Bad] = {
    "a tilt of what is not drawn": vary(f"{VARIED}\ntilt: {{los: 2}}", "tilt", "'los'", "'loss'"),
    "a tilt of what has no normal score": vary(
        "loss: {distribution: choice, values: [0.01, 0.02]}\ntilt: {loss: 2}",
        "tilt loss",
        "choice",
        "no normal score",
    ),
    "a tilt in units of the quantity": vary(
        f"{VARIED}\ntilt: {{loss: 300}}", "300 standard deviations", "not in units"
    ),
    "a tilt of a grid": vary(
        f"{VARIED}\ndesign: grid\ntilt: {{loss: 2}}", "design: grid", "design: sobol"
    ),
    "a defensive share without a tilt": vary(f"{VARIED}\ndefensive: 0.2", "defensive", "no tilt"),
    "a rare event without a comparison": Bad(
        SWEEP + " rare.event=hottest", ("event", "'hottest'", "one comparison")
    ),
    "a rare event of an unknown quantity": Bad(
        SWEEP + " 'rare.event=\"hotest > 400\"'", ("event", "'hotest'", "'hottest'")
    ),
    "an unknown estimator of a rare event": Bad(
        SWEEP + " 'rare.event=\"hottest > 400\"' rare.estimator=subst",
        ("estimator", "'subst'", "'subset'"),
    ),
}
