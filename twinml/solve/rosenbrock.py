"""The Rosenbrock methods for stiff problems, as published data."""

from __future__ import annotations

from dataclasses import dataclass

FloatRow = tuple[float, ...]


@dataclass(frozen=True)
class RosenbrockTableau:
    """Coefficients of a Rosenbrock method in the form without matrix products.

    One step of size h from (t, y0), with s = ``stages``, J = df/dy and f_t = df/dt at
    (t, y0), solves one linear system for each stage with the same matrix W::

        W       = I / (h gamma) - J
        W U_i   = f(t + c_i h, y0 + sum_{j<i} a_ij U_j)
                  + sum_{j<i} (C_ij / h) U_j + h d_i f_t            i = 0 .. s-1
        y1      = y0 + sum_i b_i U_i
        error   =      sum_i b_error_i U_i
        y(x h)  = y0 + sum_i U_i sum_j dense_ij x^(j+1)             0 <= x <= 1

    The U_i have the unit of y (they hold the factor h). With G the lower triangle of
    coefficients gamma_ij in the defining form of the method, C = I/gamma - inv(G),
    a = alpha inv(G) and b = (weights of the slopes) inv(G): Hairer, Wanner (1996),
    Solving ODEs II, eq. IV.7.25.

    Attributes:
        name: Name by which users ask for the method.
        order: Order of y1 for exact J and f_t.
        gamma: The diagonal coefficient.
        a: Strictly lower rows, row i has i entries.
        C: Strictly lower rows, row i has i entries.
        c: Abscissae, one for each stage.
        d: Factors of h f_t, one for each stage.
        b: Weights of y1 on the U_i.
        b_error: Weights of the error estimate on the U_i.
        error_order: Order of the embedded method.
        dense: Coefficients of the interpolant, one row for each stage.
        dense_order: Order of the interpolant at every point inside the step.
        source: Where the coefficients are published.
    """

    name: str
    order: int
    gamma: float
    a: tuple[FloatRow, ...]
    C: tuple[FloatRow, ...]
    c: FloatRow
    d: FloatRow
    b: FloatRow
    b_error: FloatRow
    error_order: int
    dense: tuple[FloatRow, ...]
    dense_order: int
    source: str

    @property
    def stages(self) -> int:
        """Number of stages, each one solve with the same matrix."""
        return len(self.b)

    @property
    def adaptive(self) -> bool:
        """Whether the method estimates its error."""
        return True


def _dense_from_rodas(b: FloatRow, h: tuple[FloatRow, ...]) -> tuple[FloatRow, ...]:
    """Powers of x from the nested form in which the Rodas family is published.

    With H_k = sum_i h_ki U_i, that form is::

        y(x h) = (1-x) y0 + x (y1 + (1-x) (H_2 + x (H_3 + x H_4)))
    """
    return tuple(
        (weight + h2, h3 - h2, h4 - h3, -h4) for weight, h2, h3, h4 in zip(b, *h, strict=True)
    )


_LAST = (
    -7.502846399306121,
    2.561846144803919,
    -11.627539656261098,
    -0.18268767659942256,
    0.030198172008377946,
)
_RODAS5P_B = (*_LAST, 1.0, 1.0, 1.0)

RODAS5P = RosenbrockTableau(
    name="rodas5p",
    order=5,
    gamma=0.21193756319429014,
    a=(
        (),
        (3.0,),
        (2.849394379747939, 0.45842242204463923),
        (-6.954028509809101, 2.489845061869568, -10.358996098473584),
        (2.8029986275628964, 0.5072464736228206, -0.3988312541770524, -0.04721187230404641),
        _LAST,
        (*_LAST, 1.0),
        (*_LAST, 1.0, 1.0),
    ),
    C=(
        (),
        (-14.155112264123755,),
        (-17.97296035885952, -2.859693295451294),
        (147.12150275711716, -1.41221402718213, 71.68940251302358),
        (165.43517024871676, -0.4592823456491126, 42.90938336958603, -5.961986721573306),
        (
            24.854864614690072,
            -3.0009227002832186,
            47.4931110020768,
            5.5814197821558125,
            -0.6610691825249471,
        ),
        (
            30.91273214028599,
            -3.1208243349937974,
            77.79954646070892,
            34.28646028294783,
            -19.097331116725623,
            -28.087943162872662,
        ),
        (
            37.80277123390563,
            -3.2571969029072276,
            112.26918849496327,
            66.9347231244047,
            -40.06618937091002,
            -54.66780262877968,
            -9.48861652309627,
        ),
    ),
    c=(
        0.0,
        0.6358126895828704,
        0.4095798393397535,
        0.9769306725060716,
        0.4288403609558664,
        1.0,
        1.0,
        1.0,
    ),
    d=(
        0.21193756319429014,
        -0.42387512638858027,
        -0.3384627126235924,
        1.8046452872882734,
        2.325825639765069,
        0.0,
        0.0,
        0.0,
    ),
    b=_RODAS5P_B,
    b_error=(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0),
    error_order=4,
    dense=_dense_from_rodas(
        _RODAS5P_B,
        (
            (
                25.948786856663858,
                -2.5579724845846235,
                10.433815404888879,
                -2.3679251022685204,
                0.524948541321073,
                1.1241088310450404,
                0.4272876194431874,
                -0.17202221070155493,
            ),
            (
                -9.91568850695171,
                -0.9689944594115154,
                3.0438037242978453,
                -24.495224566215796,
                20.176138334709044,
                15.98066361424651,
                -6.789040303419874,
                -6.710236069923372,
            ),
            (
                11.419903575922262,
                2.8879645146136994,
                72.92137995996029,
                80.12511834622643,
                -52.072871366152654,
                -59.78993625266729,
                -0.15582684282751913,
                4.883087185713722,
            ),
        ),
    ),
    dense_order=4,
    source="Steinebach (2023), Construction of Rosenbrock-Wanner method Rodas5P, BIT 63; digits "
    "as in OrdinaryDiffEq.jl, lib/OrdinaryDiffEqRosenbrock/src/rosenbrock_tableaus.jl",
)

ROSENBROCK: dict[str, RosenbrockTableau] = {RODAS5P.name: RODAS5P}
