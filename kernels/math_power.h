/* pow, powi, sqrt0 and the power of step control. */
#ifndef TW_MATH_POWER_H
#define TW_MATH_POWER_H

#include "math_exp.h"
#include "math_log.h"

namespace tw {

#define TW_HALF_BITS ((integer)TW_C(0x3fe0000000000000LL, 0x3f000000))

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
  return PowParts{Real(1.0) + (a.r + small), a.shifted};
}

/* Everything but the common case, by C's rules (C17 annex F.10.4.4), which are torch's. */
TW_BIG Real pow_rare(Real x, Real y) {
  const Real zero = Real(0.0), one = Real(1.0);
  const Real size = abs(x);
  const Pair log_x = log_parts(log_argument_any(size));
  Pair p = exact_product(log_x.hi, y);
  p.lo = fma(log_x.lo, y, p.lo);
  /* Far beyond the exponents the sum of the parts is of no interest, and may be nan. */
  const Real far = Real(TW_C(800.0, 120.0f));
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

  const Real half = y * Real(0.5);
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
  const Mask rare = log_rare(x) | !(abs(p.hi) <= Real(TW_C(708.0, 87.0f)));
  if (any(rare)) value = select(rare, pow_rare(x, y), value);
  return value;
}

/* x^n for a whole constant n, by products in two parts: n does not multiply their rounding. Where
 * a part may have underflowed or the result overflows, pow. */
TW_FN Real powi(Real x, int n) {
  if (n == 0) return Real(1.0);
  if (n == 1) return x;
  if (n == 2) return x * x;
  if (n == -1) return Real(1.0) / x;
  const int size = n < 0 ? -n : n;
  if (size > 32) return pow(x, Real((real)n));
  Pair p = {x, Real(0.0)};
  int top = 32;
  while (!(size & top)) top >>= 1;
  for (int bit = top >> 1; bit; bit >>= 1) {
    p = product(p, p);
    if (size & bit) p = product(p, Pair{x, Real(0.0)});
  }
  Real y = n < 0 ? quotient(Pair{Real(1.0), Real(0.0)}, p) : p.hi + p.lo;
  const Real length = abs(p.hi);
  const Mask rare = !((length > Real(TW_C(0x1p-900, 0x1p-90f))) &
                      (length < Real(TW_C(0x1p1000, 0x1p120f))));
  if (any(rare)) y = select(rare, pow(x, Real((real)n)), y);
  return y;
}

/* Square root with a finite slope at zero, as twinml.physics.functions.sqrt0, bit by bit. */
TW_FN Real sqrt0(Real x) {
  const Real width = Real(1e-8);
  const Real root = sqrt(select(x < width, width, x));
  Real s = x * Real(1.0 / 1e-8);
  s = min(max(s, Real(0.0)), Real(1.0));
  const Real ramp =
      Real(1e-4) * s * s * (Real(2.5) - Real(1.5) * s);
  return select(x < width, ramp, root);
}

}  // namespace tw

#endif
