TW_FN void rhs(const Real t, const Real* y, const Real* p, const Real* u, const Real* c, const Weights w, Real* out)
{
  const Real y0 = y[0];
  const Real y1 = y[1];
  const Real u0 = u[0];
  const Real p0 = p[0];
  const Real v0[3] = {y0, y1, u0};
  Real v1[8];
  linear<8, 3>(w[0], w[1], v0, v1);
  Real v2[8];
  TW_UNROLL for (int i = 0; i < 8; ++i) v2[i] = tanh(v1[i]);
  Real v3[4];
  linear<4, 8>(w[2], w[3], v2, v3);
  Real v4[4];
  TW_UNROLL for (int i = 0; i < 4; ++i) v4[i] = tanh(v3[i]);
  Real v5[2];
  linear<2, 4>(w[4], w[5], v4, v5);
  const Real v6[2] = {y0, y1};
  Real v7[5];
  linear<5, 2>(w[6], w[7], v6, v7);
  Real v8[5];
  TW_UNROLL for (int i = 0; i < 5; ++i) v8[i] = silu(v7[i]);
  Real v9[1];
  linear<1, 5>(w[8], w[9], v8, v9);
  const Real a0 = table_value<9>(w[10], w[11], y0);
  const Real a1 = fma(v5[0], Real(real(2.0)), y1);
  const Real a2 = fma(p0, a0, a1);
  const Real a3 = a2 + Real(real(0.25));
  const Real a4 = fnma(v9[0], Real(real(3.0)), v5[1]);
  const Real a5 = sin(t);
  const Real a6 = Real(w[12][0]);
  const Real a7 = fma(a5, a6, a4);
  out[0] = a3;
  out[1] = a7;
}

TW_FN void outputs(const Real t, const Real* y, const Real* p, const Real* u, const Real* c, const Weights w, Real* out)
{
  const Real y0 = y[0];
  const Real a0 = table_value<9>(w[10], w[11], y0);
  out[0] = a0;
}
