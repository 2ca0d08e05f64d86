/* Lorenz (1963), eq. 25-27, and its derivative along a direction. */
TW_FN void rhs(const Real t, const State& y, const Parameters& p, const Inputs& u, Rates& d)
{
  d.x = p.sigma * (y.y - y.x);
  d.y = fma(y.x, p.rho - y.z, -y.y);
  d.z = fma(y.x, y.y, -(p.beta * y.z));
}

TW_FN void rhs_jvp(const Real t, const State& y, const Parameters& p, const Inputs& u,
                   const Real dt, const State& dy, const Parameters& dp, const Inputs& du, Rates& d)
{
  d.x = dp.sigma * (y.y - y.x) + p.sigma * (dy.y - dy.x);
  d.y = dy.x * (p.rho - y.z) + y.x * (dp.rho - dy.z) - dy.y;
  d.z = dy.x * y.y + y.x * dy.y - dp.beta * y.z - p.beta * dy.z;
}
