TW_FN void rhs(const Real t, const State& y, const Parameters& p, const Inputs& u, Rates& d)
{
  d.height = y.velocity;
  d.velocity = -p.gravity;
}
