/* Counter-flow heat exchanger, each stream a row of well-mixed cells.
 *
 * Heat balance of cell i of the hot stream, in kelvin per second:
 *   dT/dt = F/V (T[i-1] - T[i]) - UA[i] / (rho c V) (T[i] - t[i]),
 * and of the cold stream with the signs turned and its inlet at the other end. The wall conducts
 * less where it is cold: UA[i] = UA (1 + warmth (T[i] + t[i] - 2 reference) / 2).
 */
TW_FN void rhs(const Real t, const State& y, const Parameters& p, const Inputs& u, Rates& d)
{
  const int cells = 6;
  for (int i = 0; i < cells; ++i) {
    const Real hot_before = i > 0 ? y.hot[i - 1] : u.hot_inlet;
    const Real cold_before = i < cells - 1 ? y.cold[i + 1] : u.cold_inlet;
    const Real warm = Real(0.5) * (y.hot[i] + y.cold[i]) - p.reference;
    const Real passed = p.transfer * (Real(1.0) + p.warmth * warm) * (y.hot[i] - y.cold[i]);
    d.hot[i] = u.hot_flow * (hot_before - y.hot[i]) - passed;
    d.cold[i] = p.cold_flow * (cold_before - y.cold[i]) + passed;
  }
}
