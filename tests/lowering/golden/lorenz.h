TW_FN void rhs(const Real t, const Real* y, const Real* p, const Real* u, const Real* c, const Weights w, Real* out)
{
  const Real y0 = y[0];
  const Real y1 = y[1];
  const Real y2 = y[2];
  const Real p0 = p[0];
  const Real p1 = p[1];
  const Real p2 = p[2];
  const Real a0 = y1 - y0;
  const Real a1 = p0 * a0;
  const Real a2 = p1 - y2;
  const Real a3 = fma(y0, a2, -y1);
  const Real a4 = y2 * p2;
  const Real a5 = fma(y0, y1, -a4);
  out[0] = a1;
  out[1] = a3;
  out[2] = a5;
}
