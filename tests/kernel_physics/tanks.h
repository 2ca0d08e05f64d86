/* Two stacked tanks fed by a pump: Schoukens et al. (2016), eq. 1-3. */
TW_FN void rhs(const Real t, const State& y, const Parameters& p, const Inputs& u, Rates& d)
{
  const Real outflow = p.k1 * sqrt0(y.h1);
  d.h1 = p.k4 * u.u - outflow;
  d.h2 = p.k2 * sqrt0(y.h1) - p.k3 * sqrt0(y.h2);
}
