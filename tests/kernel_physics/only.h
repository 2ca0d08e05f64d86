/* Robertson's reaction without a derivative. */
#include "parts/rates.h"

TW_FN void rhs(const Real t, const State& y, const Parameters& p, const Inputs& u, Rates& d)
{
  const Fluxes f = fluxes(y, p);
  d.a = f.back - f.slow;
  d.b = f.slow - f.back - f.pair;
  d.c = f.pair;
}
