TW_FN void rhs(const Real t, const Real* y, const Real* p, const Real* u, const Real* c, const Weights w, Real* out)
{
  const Real y0 = y[0];
  const Real y1 = y[1];
  const Real u0 = u[0];
  const Real p0 = p[0];
  const Real p1 = p[1];
  const Real p2 = p[2];
  const Real p3 = p[3];
  const Real p4 = p[4];
  const Real p5 = p[5];
  const Real p6 = p[6];
  const Real p7 = p[7];
  const Real a0 = y0 - p4;
  const Real a1 = relu(a0);
  const Real a2 = p7 * a1;
  const Real a3 = y1 - p5;
  const Real a4 = relu(a3);
  const Real a5 = sqrt0(y0);
  const Real a6 = p0 * a5;
  const Real a7 = fma(u0, p3, -a6);
  const Real a8 = a7 - a2;
  const Real a9 = sqrt0(y1);
  const Real a10 = p2 * a9;
  const Real a11 = fma(p1, a5, -a10);
  const Real a12 = fma(p6, a2, a11);
  const Real a13 = fnma(p7, a4, a12);
  out[0] = a8;
  out[1] = a13;
}

TW_FN void outputs(const Real t, const Real* y, const Real* p, const Real* u, const Real* c, const Weights w, Real* out)
{
  const Real y1 = y[1];
  out[0] = y1;
}
