"""A model with noise is not fitted by least squares."""

from __future__ import annotations

import pytest

import twinml as tw
from twinml.errors import ArgumentError
from twinml.library import GeneExpression


class Mean(GeneExpression):
    """The same reactions without noise."""

    noise = None


def record(tmp_path) -> tw.Record:
    file = tmp_path / "r.csv"
    file.write_text("t,signal\n" + "".join(f"{30 * i},{100.0 * i**0.5}\n" for i in range(8)))
    return tw.Record.from_csv(file, time="t", time_unit="min", columns={"signal": "signal"})


def test_a_model_with_noise_is_refused_and_its_mean_is_fitted(tmp_path):
    with pytest.raises(ArgumentError, match=r"GeneExpression has noise\(\).*noise = None"):
        tw.calibrate(GeneExpression(), record(tmp_path), fit=["transcription"], dt=0.1)
    found = tw.calibrate(Mean(), record(tmp_path), fit=["transcription"], starts=2)
    assert found.names == ("transcription",)
