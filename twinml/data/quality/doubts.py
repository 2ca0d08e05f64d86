"""What a fit would take for the plant's behaviour and is more likely a fault of the record."""

from __future__ import annotations

import numpy as np

from twinml.data.quality.clock import GAP, read_clock
from twinml.data.quality.column import read_values
from twinml.data.record import Record


def doubts(record: Record) -> list[str]:
    """One sentence per doubt: a measured column that is stuck, inputs unknown over a gap.

    A stuck sensor pulls the fit towards one value, and over a gap the inputs are what their kind
    makes of the samples on either side; both move parameters by more than their intervals say.

    Args:
        record: As it will be fitted: ``kinds`` tells inputs from measured columns.
    """
    found = []
    for name in record.experiments or ("",):
        one = record.experiment(name) if name else record
        where = f"experiment '{name}': " if name else ""
        found += [where + text for text in (*_stuck(one), *_gaps(one))]
    return found


def _stuck(record: Record) -> list[str]:
    found = []
    for name in record.columns:
        values = read_values(record[name], [np.arange(len(record))])
        if name in record.kinds or values.behaviour != "stuck":
            continue
        unit = record.units[name]
        begin, end = (record.time[row] for row in (values.run_row, values.run_row + values.run - 1))
        found.append(
            f"'{name}' stands at {values.run_value:.6g}{'' if unit == '1' else f' {unit}'} for "
            f"{values.run} rows, {begin:.6g} to {end:.6g} {record.time_unit}, and these rows are "
            "fitted. Where the sensor was stuck, empty their cells: missing samples are left out"
        )
    return found


def _gaps(record: Record) -> list[str]:
    clock = read_clock(record.time)
    if not clock.gaps or not record.kinds:
        return []
    longest = max(clock.gaps, key=lambda gap: gap.size)
    begin, unit = record.time[longest.row - 1], record.time_unit
    more = f", the longest of {len(clock.gaps)} such gaps" if len(clock.gaps) > 1 else ""
    inputs = ", ".join(f"{name} ({kind})" for name, kind in record.kinds.items())
    return [
        f"no rows for {longest.size:.6g} {unit} from {begin:.6g} {unit} on{more} (over {GAP:g} x "
        f"the median interval). What drove the plant there is made up by kind: {inputs}"
    ]
