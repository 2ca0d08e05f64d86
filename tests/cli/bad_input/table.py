"""The whole table, by section. Each row says what is bad, and what the message must hold."""

from __future__ import annotations

from tests.cli.bad_input import (
    elsewhere,
    models,
    products,
    records,
    scenarios,
    sweeps,
    tools,
    twins,
    words,
)
from tests.cli.bad_input.case import Bad

SECTIONS: dict[str, dict[str, Bad]] = {
    "Words": words.CASES,
    "Values": words.VALUES,
    "A class that does not import": models.IMPORT,
    "A class that contradicts itself": models.DECLARED,
    "Equations that return something else": models.RETURNS,
    "A model that fails": models.FAILS,
    "A twin that is no YAML": twins.YAML,
    "A twin that does not fit": twins.KEYS,
    "A record that cannot be read": records.CASES,
    "A scenario's form": scenarios.FORM,
    "What a scenario varies": scenarios.VARY,
    "A scenario's expressions": scenarios.EXPRESSIONS,
    "A rare event": scenarios.RARE,
    "Where a run goes": products.OUT,
    "Going on with a sweep": products.RESUME,
    "What is asked of a sweep": sweeps.ASKED,
    "A sweep at an address": sweeps.PLACES,
    "A sweep to watch": sweeps.STATUS,
    "A calibration to draw from": products.CALIBRATION,
    "A sweep to learn from": products.TRAIN,
    "A surrogate to export": products.EXPORT,
    "An artifact to verify": products.VERIFY,
    "A run to do again": products.REPRODUCE,
    "Several runs at once": products.SEVERAL,
    "Something to show": tools.SHOW,
    "A new twin": tools.NEW,
    "A record to look at": tools.DATA,
    "Files to lint": tools.LINT,
    "Two runs to compare": tools.COMPARE,
    "Work elsewhere": elsewhere.ELSEWHERE,
    "Other tools": tools.REST,
}

CASES: dict[str, Bad] = {
    name: bad for section in SECTIONS.values() for name, bad in section.items()
}
