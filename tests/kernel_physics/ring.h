/* Heat round a ring of cells, warmed at one of them, whose fan switches on above a temperature. */
TW_FN void rhs(const Real t, const State& y, const Parameters& p, const Inputs& u, Rates& d)
{
  const Mask on = y.cell[0] > p.limit;
  const Real cooling = select(on, p.fan * (y.cell[0] - p.limit), Real(0.0));
  for (int i = 0; i < 4; ++i) {
    const int left = (i + 3) % 4, right = (i + 1) % 4;
    d.cell[i] = p.spread * (y.cell[left] - Real(2.0) * y.cell[i] + y.cell[right]);
  }
  d.cell[0] += u.heat * (Real(1.0) + Real(0.1) * sin(t)) - cooling;
  d.used = u.heat;
}
