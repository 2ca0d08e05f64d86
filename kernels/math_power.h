/* pow, powi, sqrt0 and the power of step control. */
#ifndef TW_MATH_POWER_H
#define TW_MATH_POWER_H

#include "math_exp.h"
#include "math_log.h"

namespace tw {

#define TW_HALF_BITS ((integer)TW_LITERAL(0x3fe0000000000000LL, 0x3f000000))

/* (atanh(s) / s - 1 - z / 3) / z^2 over z = s^2. */
TW_FN Real pow_poly(Real z) {
  return poly(z, TW_POLY(TW_LIST(0x1.9999999999995p-3, 0x1.2492492493153p-3, 0x1.c71c71c563a8ep-4,
                                 0x1.745d183e4e87ap-4, 0x1.3b135fe084404p-4, 0x1.112117e6e98e1p-4,
                                 0x1.de25389d2da68p-5, 0x1.eb7e3f7d17bbdp-5),
                         TW_LIST(0x1.999998p-3f, 0x1.2493acp-3f, 0x1.c644a4p-4f, 0x1.8fee1ap-4f)));
}

/* log(2^k m) in two parts, about 2^-65 (2^-34) of its value off: pow multiplies it by up to 2^10. */
TW_FN Pair log_parts(LogArgument a) {
  const Real one = Real(real(1));
  const Real f = a.m - one;
  const Real d = a.m + one;
  const Real d_lo = a.m - (d - one);
  const Real inverse = one / d;
  Pair s;
  s.hi = f * inverse;
  s.lo = inverse * fnma(s.hi, d_lo, fnma(s.hi, d, f));
  Pair z = exact_product(s.hi, s.hi);
  z.lo = fma(s.hi + s.hi, s.lo, z.lo);
  /* log(m) = 2 s (1 + z (1/3 + z P(z))) */
  Pair w = fast_sum(Real(TW_LITERAL(0x1.5555555555555p-2, 0x1.555556p-2f)), z.hi * pow_poly(z.hi));
  w.lo += Real(TW_LITERAL(0x1.5555555555555p-56, -0x1.555556p-27f));
  const Pair cubic = product(s, product(z, w));
  Pair half = fast_sum(s.hi, cubic.hi);
  half.lo += s.lo + cubic.lo;
  /* k times the first part of log(2) is exact: that has 42 (14) bits. */
  Pair sum = fast_sum(a.k * Real(TW_LITERAL(0x1.62e42fefa38p-1, 0x1.62e8p-1f)), half.hi + half.hi);
  sum.lo += fma(a.k, Real(TW_LITERAL(0x1.ef35793c7673p-45, -0x1.e8082ep-16f)), half.lo + half.lo);
  return fast_sum(sum.hi, sum.lo);
}

struct PowParts {
  Real value, shifted; /* x^y = value * 2^k, shifted = k + TW_SHIFT */
};

/* exp(p.hi + p.lo) short of its power of two. */
TW_FN PowParts pow_exp(Pair p) {
  ExpArgument a = exp_argument(p.hi);
  a.rest += p.lo;
  const Real square = a.r * a.r;
  const Real rest_of_exp = exp_poly(a.r);
  const Real near = fma(square, rest_of_exp, a.r); /* exp(r) - 1 */
  const Real small = fma(square, rest_of_exp, fma(a.rest, near, a.rest));
  return PowParts{Real(real(1)) + (a.r + small), a.shifted};
}

/* Everything but the common case, by C's rules (C17 annex F.10.4.4), which are torch's. */
TW_BIG Real pow_rare(Real x, Real y) {
  const Real zero = Real(real(0)), one = Real(real(1));
  const Real size = abs(x);
  const Pair log_x = log_parts(log_argument_any(size));
  Pair p = exact_product(log_x.hi, y);
  p.lo = fma(log_x.lo, y, p.lo);
  /* Far beyond the exponents the sum of the parts is of no interest, and may be nan. */
  const Real far = Real(TW_LITERAL(800.0, 120.0f));
  const Mask outside = !(abs(p.hi) <= far);
  p.hi = select(outside, copysign(far, p.hi), p.hi);
  p.lo = select(outside, zero, p.lo);
  const PowParts parts = pow_exp(p);
  Real value = scaled(parts.value, parts.shifted - Real(TW_SHIFT));

  const Mask falls = y < zero;
  value = select(size == zero, select(falls, infinity(), zero), value);
  value = select(size == infinity(), select(falls, zero, infinity()), value);
  const Mask endless = abs(y) == infinity();
  value = select(endless, select((size < one) ^ falls, zero, infinity()), value);
  value = select(endless & (size == one), one, value);

  const Real half = y * Real(real(0.5));
  const Mask whole = trunc(y) == y;
  const Mask odd = whole & (trunc(half) != half);
  value = select(odd & signbit(x), -value, value);
  value = select((x < zero) & (size != infinity()) & !whole, not_a_number(), value);
  value = select(isnan(x) | isnan(y), not_a_number(), value);
  return select((y == zero) | (x == one), one, value);
}

TW_MATH Real pow(Real x, Real y) {
  const Pair log_x = log_parts(log_argument(x));
  Pair p = exact_product(log_x.hi, y);
  p.lo = fma(log_x.lo, y, p.lo);
  const PowParts parts = pow_exp(p);
  Real value = from_bits(bits(parts.value) + shl(bits(parts.shifted), TW_MANTISSA));
  const Mask rare = log_rare(x) | !(abs(p.hi) <= Real(TW_LITERAL(708.0, 87.0f)));
  if (any(rare)) value = select(rare, pow_rare(x, y), value);
  return value;
}

/* x^n for a whole constant n: products in two parts, so n does not multiply their rounding. */
TW_FN Real powi(Real x, int n) {
  if (n == 0) return Real(real(1));
  if (n == 1) return x;
  if (n == 2) return x * x;
  if (n == 3) return x * x * x;
  if (n == -1) return Real(real(1)) / x;
  return pow(x, Real((real)n));
}

/* Square root with a finite slope at zero, as twinml.physics.functions.sqrt0, bit by bit. */
TW_FN Real sqrt0(Real x) {
  const Real width = Real(real(1e-8));
  const Real root = sqrt(select(x < width, width, x));
  Real s = x * Real(real(1.0 / 1e-8));
  s = min(max(s, Real(real(0))), Real(real(1)));
  const Real ramp =
      Real(real(1e-4)) * s * s * (Real(real(2.5)) - Real(real(1.5)) * s);
  return select(x < width, ramp, root);
}

}  // namespace tw

#endif
