"""The integers are the published ones, and the normals made of them the same bits everywhere."""

from __future__ import annotations

import math

import pytest
import torch

from twinml.engines.brownian import BrownianPaths
from twinml.engines.normal import normals, uniforms
from twinml.engines.philox import philox4x32
from twinml.solve.path import NoisePath

ONES = 0xFFFFFFFF
PI = (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344)
PI_KEY = (0xA4093822, 0x299F31D0)
# Random123 1.14, tests/kat_vectors: rounds, counter, key, result.
PUBLISHED = [
    (7, (0, 0, 0, 0), (0, 0), (0x5F6FB709, 0x0D893F64, 0x4F121F81, 0x4F730A48)),
    (7, (ONES,) * 4, (ONES,) * 2, (0x5207DDC2, 0x45165E59, 0x4D8EE751, 0x8C52F662)),
    (7, PI, PI_KEY, (0x4DFCCABA, 0x190A87F0, 0xC47362BA, 0xB6B5242A)),
    (10, (0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    (10, (ONES,) * 4, (ONES,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (10, PI, PI_KEY, (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1)),
]


def reference(counter: tuple[int, ...], key: tuple[int, int]) -> list[int]:
    """Philox4x32-10 in Python's own integers."""
    x, k = list(counter), list(key)
    for _ in range(10):
        a, b = x[0] * 0xD2511F53, x[2] * 0xCD9E8D57
        x = [(b >> 32) ^ x[1] ^ k[0], b & ONES, (a >> 32) ^ x[3] ^ k[1], a & ONES]
        k = [(k[0] + 0x9E3779B9) & ONES, (k[1] + 0xBB67AE85) & ONES]
    return x


@pytest.mark.parametrize(("rounds", "counter", "key", "result"), PUBLISHED)
def test_the_published_vectors_are_met(rounds, counter, key, result):
    a, b, c, d = (torch.tensor([word]) for word in counter)
    words = philox4x32((a, b, c, d), key, rounds)
    assert tuple(int(word) for word in words) == result


def test_every_lane_of_a_batch_has_its_own_counter():
    generator = torch.Generator().manual_seed(0)
    counters = torch.randint(0, 2**32, (4, 33), generator=generator)
    a, b, c, d = counters
    words = torch.stack(philox4x32((a, b, c, d), (5, 9)))
    for lane in range(33):
        assert words[:, lane].tolist() == reference(tuple(counters[:, lane].tolist()), (5, 9))


def test_uniforms_never_reach_zero_or_one():
    edge = uniforms(torch.tensor([0, ONES]), torch.tensor([0, ONES]))
    assert edge.tolist() == [2.0**-53, 1.0 - 2.0**-53]
    assert normals(edge).tolist() == pytest.approx([-8.209536151601387, 8.209536151601387])


def test_normals_invert_the_normal_distribution_to_rounding():
    from scipy.special import ndtri

    generator = torch.Generator().manual_seed(1)
    middle = torch.rand(100_000, generator=generator, dtype=torch.float64)
    tail = 2.0 ** -torch.linspace(1.0, 53.0, 20_000, dtype=torch.float64)
    uniform = torch.cat([middle, tail, 1.0 - tail[:5000]])
    wanted = torch.as_tensor(ndtri(uniform.numpy()))
    assert torch.allclose(normals(uniform), wanted, rtol=3e-15, atol=1e-16)


def test_the_bits_of_a_normal_do_not_depend_on_its_place():
    generator = torch.Generator().manual_seed(2)
    uniform = torch.rand(4099, generator=generator, dtype=torch.float64)
    whole = normals(uniform)
    assert torch.equal(torch.cat([normals(part) for part in uniform.split(1)]), whole)
    assert torch.equal(normals(uniform[:4098].view(2, -1).T).T.reshape(-1), whole[:4098])


@pytest.mark.parametrize("component", [0, 1, 4])
def test_the_counter_is_laid_out_as_documented(component):
    """What a kernel must draw, from Python's integers."""
    seed, row, cell, dt = (7 << 32) + 11, (3 << 32) + 2_000_000_000, 123_456, 0.25
    path = NoisePath(
        seed, torch.tensor([row]), dt, torch.zeros(1, dtype=torch.float64), torch.tensor([0])
    )
    last = torch.full((1,), 1e6, dtype=torch.float64)
    paths = BrownianPaths(path, 5, [0, 1, 4], last)
    now = torch.tensor([cell * dt], dtype=torch.float64)

    def drawn(node: int) -> float:
        words = reference(
            (cell, row & ONES, (row >> 32) << 16 | node, component // 2 << 8), (11, 7)
        )
        high, low = words[:2] if component % 2 == 0 else words[2:]
        return float(normals(uniforms(torch.tensor([high]), torch.tensor([low])))[0])

    one, yes, no = torch.tensor([0]), torch.tensor([True]), torch.tensor([False])
    whole = paths.increments(one, torch.tensor([cell]), now, now + dt, yes)
    assert whole[[2, 3]].abs().max() == 0  # components without noise
    assert float(whole[component]) == math.sqrt(dt) * drawn(0)
    half = paths.increments(one, torch.tensor([cell]), now, now + dt / 2, no)
    middle = 0.5 * math.sqrt(dt) * drawn(0) + 0.5 * math.sqrt(dt) * drawn(1)
    assert float(half[component]) == pytest.approx(middle, rel=1e-14)
    quarter = paths.increments(one, torch.tensor([cell]), now, now + dt / 4, no)
    wanted = 0.5 * middle + 0.5 * math.sqrt(dt / 2) * drawn(2)
    assert float(quarter[component]) == pytest.approx(wanted, rel=1e-13)
