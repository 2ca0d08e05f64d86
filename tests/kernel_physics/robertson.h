/* Robertson (1966), after Hairer & Wanner, eq. IV.1.4. */
#include "parts/rates.h"

TW_FN void rhs(const Real t, const State& y, const Parameters& p, const Inputs& u, Rates& d)
{
  const Fluxes f = fluxes(y, p);
  d.a = f.back - f.slow;
  d.b = f.slow - f.back - f.pair;
  d.c = f.pair;
}

TW_FN void rhs_jvp(const Real t, const State& y, const Parameters& p, const Inputs& u,
                   const Real dt, const State& dy, const Parameters& dp, const Inputs& du, Rates& d)
{
  const Real slow = dp.k1 * y.a + p.k1 * dy.a;
  const Real back = dp.k3 * y.b * y.c + p.k3 * (dy.b * y.c + y.b * dy.c);
  const Real pair = dp.k2 * y.b * y.b + Real(2.0) * p.k2 * y.b * dy.b;
  d.a = back - slow;
  d.b = slow - back - pair;
  d.c = pair;
}
