"""The explicit Runge-Kutta methods, as published data.

``PUBLISHED`` holds the coefficients as exact fractions, ``EXPLICIT`` the same methods
rounded to float64, by name.
"""

from __future__ import annotations

from fractions import Fraction

from twinml.solve.tableau import (
    ButcherTableau,
    ExactTableau,
    FractionRow,
    exact_row,
    exact_rows,
)


def cubic_hermite(b: FractionRow) -> tuple[FractionRow, ...]:
    """The cubic through y0, y1 and the slopes there, in the form of ``dense``.

    The slope at the end is one more stage, whose row of ``dense_a`` is ``b`` itself.

    Args:
        b: Weights of y1; stage 0 is the slope at the start.

    Returns:
        One row (x, x^2, x^3) for each stage of ``b`` and one for the slope at the end.
        Source: Hairer, Norsett, Wanner (1993), Solving ODEs I, eq. II.6.7.
    """
    zero = Fraction(0)
    rows = [(zero, 3 * weight, -2 * weight) for weight in b]
    first = tuple(map(sum, zip(rows[0], exact_row("1 -2 1"), strict=True)))
    return (first, *rows[1:], exact_row("0 -1 1"))


_EULER = ExactTableau(
    name="euler",
    order=1,
    a=exact_rows(""),
    b=exact_row("1"),
    source="Hairer, Norsett, Wanner (1993), Solving ODEs I, sec. I.7",
    dense=exact_rows("1"),
    dense_order=1,
)

_HEUN_B = exact_row("1/2 1/2")
_HEUN = ExactTableau(
    name="heun",
    order=2,
    a=exact_rows("", "1"),
    b=_HEUN_B,
    source="Hairer, Norsett, Wanner (1993), Solving ODEs I, sec. II.1 (trapezoidal weights); "
    "error estimate against the Euler step",
    b_error=exact_row("-1/2 1/2"),
    error_order=1,
    dense_a=(_HEUN_B,),
    dense=cubic_hermite(_HEUN_B),
    dense_order=2,
)

_RK4_B = exact_row("1/6 1/3 1/3 1/6")
_RK4 = ExactTableau(
    name="rk4",
    order=4,
    a=exact_rows("", "1/2", "0 1/2", "0 0 1"),
    b=_RK4_B,
    source="Hairer, Norsett, Wanner (1993), Solving ODEs I, sec. II.1, table 1.2",
    dense_a=(_RK4_B,),
    dense=cubic_hermite(_RK4_B),
    dense_order=3,
)

# The interpolant is CONTD5 of Hairer's DOPRI5, multiplied out in exact arithmetic.
_DOPRI5 = ExactTableau(
    name="dopri5",
    order=5,
    a=exact_rows(
        "",
        "1/5",
        "3/40 9/40",
        "44/45 -56/15 32/9",
        "19372/6561 -25360/2187 64448/6561 -212/729",
        "9017/3168 -355/33 46732/5247 49/176 -5103/18656",
        "35/384 0 500/1113 125/192 -2187/6784 11/84",
    ),
    b=exact_row("35/384 0 500/1113 125/192 -2187/6784 11/84 0"),
    source="Dormand, Prince (1980), J. Comput. Appl. Math. 6; interpolant: Hairer, Norsett, "
    "Wanner (1993), Solving ODEs I, sec. II.6 and the code DOPRI5 (Shampine 1986)",
    b_error=exact_row("71/57600 0 -71/16695 71/1920 -17253/339200 22/525 -1/40"),
    error_order=4,
    dense=exact_rows(
        "1 -8048581381/2820520608 8663915743/2820520608 -12715105075/11282082432",
        "0 0 0 0",
        "0 131558114200/32700410799 -68118460800/10900136933 87487479700/32700410799",
        "0 -1754552775/470086768 14199869525/1410260304 -10690763975/1880347072",
        "0 127303824393/49829197408 -318862633887/49829197408 701980252875/199316789632",
        "0 -282668133/205662961 2019193451/616988883 -1453857185/822651844",
        "0 40617522/29380423 -110615467/29380423 69997945/29380423",
    ),
    dense_order=4,
    stiffness_stages=(5, 6),
)

# The interpolant is published with 16 digits. Its stages 1 and 6 (and the slope at the
# start) are exact decimals; the other 15 coefficients are the unique solution of the order
# conditions with those held, and differ from the published digits by less than 1e-16.
_TSIT5_A7 = (
    "0.0964607668180652295181673131651287633371199523815799718190331914576485 0.01"
    " 0.479889650414499574775249532290596519913040462199033248833263494425454"
    " 1.37900857410374189319227482185687277075646264309136052593494006739725"
    " -3.29006951543608067990104758571136385011568329089493615853129679959481"
    " 2.32471052409977398241535591839876579610906023322296241194406004631447"
)
_TSIT5 = ExactTableau(
    name="tsit5",
    order=5,
    a=exact_rows(
        "",
        "0.161",
        "-0.00848065549235698854442687425023077467512117739343039153736923424529419"
        " 0.335480655492356988544426874250230774675121177393430391537369234245294",
        "2.89715305710549343213043259419293876492488728770186649031486669345502"
        " -6.35944848997507484314815991238382562595270064741562670330592885020729"
        " 4.36229543286958141101772731819088686102781335971376021299106215675226",
        "5.32586482843925660442887792084051131783647625309704010120236039772798"
        " -11.7488835640628278777471703397857729618874417825986289928866692800902"
        " 7.49553934288983620830460478456435815565867916151818672101013281621365"
        " -0.0924950663617552492565020793320719161134998340602953524403475045293047",
        "5.86145544294642002865925148698264789039433766616481443481815723905251"
        " -12.9209693178471092917061186817833593954178075195574345916631225043993"
        " 8.15936789857615864318040079453925348518191832113505330574835542395501"
        " -0.0715849732814009972245305425258297386912721314736354488272113965954637"
        " -0.0282690503940683829090030572127122441467176332687977000761787620127676",
        _TSIT5_A7,
    ),
    b=exact_row(_TSIT5_A7 + " 0"),
    source="Tsitouras (2011), Comput. Math. Appl. 62; digits as in OrdinaryDiffEq.jl, "
    "lib/OrdinaryDiffEqTsit5/src/tsit_tableaus.jl",
    b_error=exact_row(
        "1.780011052225771443378550607539534775944678804333659557637450799792588061629796e-3"
        " 8.164344596567469032236360633546862401862537590159047610940604670770447527463931e-4"
        " -7.880878010261996010314727672526304238628733777103128603258129604952959142646516e-3"
        " 1.44711007173262907537165147972635116720922712343167677619514233896760819649515e-1"
        " -5.823571654525552250199376106520421794260781239567387797673045438803694038950012e-1"
        " 4.580821059291869466616365188325542974428047279788398179474684434732070620889539e-1"
        " -1/66"
    ),
    error_order=4,
    dense=exact_rows(
        "1 -2.763706197274825868672988363027682259932 2.913255461821912655418645978715879573212"
        " -1.053088497729021557227490302523068549943",
        "0 0.1317 -0.2234 0.1017",
        "0 3.930296236894751517409293669459985498088 -5.941033872131504735717589209757584916523"
        " 2.490627285651252793083545072588195938349",
        "0 -12.41107716693367703873047339671185493681 30.33818863028232165023004608085120095664"
        " -16.54810288924490271830729786228247324908",
        "0 37.50931341651103917897843911106474125196 -88.17890489476640107756106856497493790438"
        " 47.37952196281928121868158186819883280231",
        "0 -27.89652628919728778898427102078518955331 65.09189467479367150762996571516544229105"
        " -34.87065786149660973623033877598148694164",
        "0 1.5 -4 2.5",
    ),
    dense_order=4,
    stiffness_stages=(5, 6),
)

PUBLISHED: dict[str, ExactTableau] = {
    method.name: method for method in (_EULER, _HEUN, _RK4, _TSIT5, _DOPRI5)
}

EXPLICIT: dict[str, ButcherTableau] = {name: method.rounded() for name, method in PUBLISHED.items()}
