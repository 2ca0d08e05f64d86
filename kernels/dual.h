/* A number with its derivative along one direction. Text written against Real gives the derivative
 * of what it computes when Real stands for Dual: the same operations, and those of lane.h and math.h
 * that have a slope. Comparisons look at the value.
 */
#ifndef TWINML_DUAL_H
#define TWINML_DUAL_H

namespace tw {

struct Dual {
  Real v, d;
  Dual() = default;
  TW_MEMBER Dual(Real value, Real along) : v(value), d(along) {}
  TW_MEMBER explicit Dual(Real value) : v(value), d(Real(real(0))) {}
#if TW_LANES > 1
  TW_MEMBER explicit Dual(real value) : v(Real(value)), d(Real(real(0))) {}
#endif
};

TW_FN Real value_of(Real x) { return x; }
TW_FN Real value_of(const Dual& x) { return x.v; }

TW_FN Dual operator+(Dual a, Dual b) { return Dual(a.v + b.v, a.d + b.d); }
TW_FN Dual operator-(Dual a, Dual b) { return Dual(a.v - b.v, a.d - b.d); }
TW_FN Dual operator*(Dual a, Dual b) { return Dual(a.v * b.v, fma(a.d, b.v, a.v * b.d)); }
TW_FN Dual operator/(Dual a, Dual b) {
  const Real q = a.v / b.v;
  return Dual(q, fnma(q, b.d, a.d) / b.v);
}
TW_FN Dual operator-(Dual x) { return Dual(-x.v, -x.d); }
TW_FN Dual& operator+=(Dual& a, Dual b) { return a = a + b; }
TW_FN Dual& operator-=(Dual& a, Dual b) { return a = a - b; }
TW_FN Dual& operator*=(Dual& a, Dual b) { return a = a * b; }
TW_FN Dual& operator/=(Dual& a, Dual b) { return a = a / b; }

#define TW_COMPARED(op) \
  TW_FN Mask operator op(Dual a, Dual b) { return a.v op b.v; }
TW_COMPARED(<)
TW_COMPARED(<=)
TW_COMPARED(>)
TW_COMPARED(>=)
TW_COMPARED(==)
TW_COMPARED(!=)
#undef TW_COMPARED

TW_FN Dual select(Mask m, Dual a, Dual b) { return Dual(select(m, a.v, b.v), select(m, a.d, b.d)); }
TW_FN Dual fma(Dual a, Dual b, Dual c) {
  return Dual(fma(a.v, b.v, c.v), fma(a.d, b.v, fma(a.v, b.d, c.d)));
}
TW_FN Dual fnma(Dual a, Dual b, Dual c) { return fma(-a, b, c); }
TW_FN Dual minimum(Dual a, Dual b) { return select(isnan(a.v) | (a.v <= b.v), a, b); }
TW_FN Dual maximum(Dual a, Dual b) { return select(isnan(a.v) | (a.v >= b.v), a, b); }
TW_FN Dual min(Dual a, Dual b) { return select(a.v < b.v, a, b); }
TW_FN Dual max(Dual a, Dual b) { return select(a.v > b.v, a, b); }
TW_FN Dual abs(Dual x) { return Dual(abs(x.v), select(x.v < Real(real(0)), -x.d, x.d)); }

/* y is the value, x the argument. */
#define TW_SLOPE(name, ...)                    \
  TW_FN Dual name(Dual a) {                    \
    const Real x = a.v, y = name(x);           \
    (void)x;                                   \
    return Dual(y, a.d * (__VA_ARGS__));       \
  }
TW_SLOPE(sqrt, Real(real(0.5)) / y)
TW_SLOPE(exp, y)
TW_SLOPE(expm1, y + Real(real(1)))
TW_SLOPE(log, Real(real(1)) / x)
TW_SLOPE(log1p, Real(real(1)) / (x + Real(real(1))))
TW_SLOPE(tanh, fnma(y, y, Real(real(1))))
TW_SLOPE(sigmoid, fnma(y, y, y))
TW_SLOPE(sin, cos(x))
TW_SLOPE(cos, -sin(x))
TW_SLOPE(atan, Real(real(1)) / fma(x, x, Real(real(1))))
#undef TW_SLOPE

TW_FN Dual pow(Dual a, Dual b) {
  const Real y = pow(a.v, b.v), zero(real(0)), one(real(1));
  const Real by_base = select(b.v == zero, zero, b.v * pow(a.v, b.v - one));
  const Real by_power = select(b.d == zero, zero, y * log(a.v) * b.d);
  return Dual(y, fma(by_base, a.d, by_power));
}

}  // namespace tw

#endif
