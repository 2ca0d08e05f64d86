"""Copies of a messenger and its protein in a cell."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from twinml.physics import Output, Parameter, Physics, State, sqrt0


class GeneExpression(Physics):
    """Transcription, translation and decay of one gene, as a chemical Langevin equation.

    Source: Thattai & van Oudenaarden (2001), Proc. Natl. Acad. Sci. 98, 8614 (the reactions and
    their moments); Gillespie (2000), J. Chem. Phys. 113, 297, eq. 23 (from reactions to a
    Langevin equation). Each species is born and dies by reactions of its own, so its noise is
    one Brownian motion of variance birth + death a unit of time::

        d mrna    = (k_m - g_m mrna) dt          + sqrt(k_m + g_m mrna) dW_1
        d protein = (k_p mrna - g_p protein) dt  + sqrt(k_p mrna + g_p protein) dW_2

    All rates are linear, so mean and variance are those of the reactions themselves: in the
    steady state mrna has mean and variance k_m / g_m, and protein mean k_m k_p / (g_m g_p) and
    variance over mean 1 + k_p / (g_m + g_p). The shape of the distribution is right only for
    many molecules: near zero a count is a whole number, while this one may dip below zero.

    Defaults: half-lives of 2 min (mrna) and 1 h (protein), 0.01 transcripts a second, each
    translated 10 times in the mean, as in Thattai & van Oudenaarden (2001).
    """

    time_unit = "min"
    mrna = State("1", initial=0.0, low=0.0)
    protein = State("1", initial=0.0, low=0.0)
    transcription = Parameter("1/min", default=0.6, low=0.0, high=1e3)
    translation = Parameter("1/min", default=3.4657359, low=0.0, high=1e3)
    mrna_decay = Parameter("1/min", default=0.34657359, low=0.0, high=1e2)
    protein_decay = Parameter("1/min", default=0.011552453, low=0.0, high=1e2)
    signal = Output("1")

    def rhs(
        self, mrna: Tensor, protein: Tensor, transcription: Tensor, translation: Tensor,
        mrna_decay: Tensor, protein_decay: Tensor,
    ) -> Mapping[str, Tensor]:  # fmt: skip
        return {
            "mrna": transcription - mrna_decay * mrna,
            "protein": translation * mrna - protein_decay * protein,
        }

    def noise(
        self, mrna: Tensor, protein: Tensor, transcription: Tensor, translation: Tensor,
        mrna_decay: Tensor, protein_decay: Tensor,
    ) -> Mapping[str, Tensor]:  # fmt: skip
        return {
            "mrna": sqrt0(transcription + mrna_decay * mrna),
            "protein": sqrt0(translation * mrna + protein_decay * protein),
        }

    def outputs(self, protein: Tensor) -> Mapping[str, Tensor]:
        return {"signal": protein}
