#pragma once

struct Fluxes {
  Real slow, back, pair;
};

TW_FN Fluxes fluxes(const State& y, const Parameters& p)
{
  Fluxes f;
  f.slow = p.k1 * y.a;
  f.back = p.k3 * y.b * y.c;
  f.pair = p.k2 * y.b * y.b;
  return f;
}
