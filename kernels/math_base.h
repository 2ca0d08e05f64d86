/* What the functions of math.h share: constants, polynomials, powers of two, sums in two parts.
 *
 * A value in two parts (hi, lo) stands for hi + lo, |lo| below the last place of hi. Coefficients
 * come from tests/kernels/coefficients; their order is from the constant upwards.
 */
#ifndef TW_MATH_BASE_H
#define TW_MATH_BASE_H

#include "lane.h"

/* One literal for each width. */
#if TW_BITS == 64
#define TW_C(double_value, float_value) double_value
#define TW_POLY(double_values, float_values) double_values
#else
#define TW_C(double_value, float_value) float_value
#define TW_POLY(double_values, float_values) float_values
#endif
#define TW_LIST(...) __VA_ARGS__

namespace tw {

#define TW_MANTISSA TW_C(52, 23)              /* bits of the mantissa that are stored */
#define TW_BIAS TW_C(1023, 127)               /* of the exponent */
#define TW_SHIFT TW_C(0x1.8p52, 0x1.8p23f)    /* added and taken away: rounds to an integer */
#define TW_TINY TW_C(0x1p-1022, 0x1p-126f)    /* smallest normal number */
#define TW_HUGE TW_C(0x1.fffffffffffffp1023, 0x1.fffffep127f)
#define TW_MANTISSA_MASK ((integer)TW_C(0xfffffffffffffLL, 0x7fffff))

#define TW_LOG2E TW_C(0x1.71547652b82fep0, 0x1.715476p0f)
#define TW_LN2_HI TW_C(0x1.62e42fefa39efp-1, 0x1.62e43p-1f)
#define TW_LN2_LO TW_C(0x1.abc9e3b39803fp-56, -0x1.05c61p-29f)

TW_FN Real infinity() { return from_bits(Int((integer)TW_C(0x7ff0000000000000LL, 0x7f800000))); }
TW_FN Real not_a_number() { return from_bits(Int((integer)TW_C(0x7ff8000000000000LL, 0x7fc00000))); }

/* c0 + c2 x2 + c4 x2^2 + ..., every second of the coefficients given. */
TW_FN Real every_second(Real, real c0) { return Real(c0); }
TW_FN Real every_second(Real, real c0, real) { return Real(c0); }
template <class... C>
TW_FN Real every_second(Real x2, real c0, real, C... c) {
  return fma(every_second(x2, c...), x2, Real(c0));
}

/* c0 + c1 x + c2 x^2 + ...: even and odd powers side by side, half the latency of Horner's rule. */
template <class... C>
TW_FN Real poly(Real x, real c0, C... c) {
  const Real x2 = x * x;
  return fma(every_second(x2, c...), x, every_second(x2, c0, c...));
}

/* 2^k for the integer k in the last bits of t = k + TW_SHIFT, k a normal exponent. */
TW_FN Real power_of_two(Real t) { return from_bits(shl(bits(t) + Int(TW_BIAS), TW_MANTISSA)); }

/* x * 2^k, rounded once, for any integral |k| up to about two ranges of exponents. */
TW_FN Real scaled(Real x, Real k) {
  const Real half = round_even(k * Real(0.5));
  const Real first = power_of_two(half + Real(TW_SHIFT));
  return x * first * power_of_two((k - half) + Real(TW_SHIFT));
}

struct Pair {
  Real hi, lo;
};

TW_FN Pair select(Mask m, Pair x, Pair y) {
  return Pair{select(m, x.hi, y.hi), select(m, x.lo, y.lo)};
}

/* a + b exactly, for |a| >= |b| (Dekker 1971). */
TW_FN Pair fast_sum(Real a, Real b) {
  const Real sum = a + b;
  return Pair{sum, b - (sum - a)};
}

/* a + b exactly (Knuth, TAOCP 2, 4.2.2). */
TW_FN Pair exact_sum(Real a, Real b) {
  const Real sum = a + b;
  const Real part = sum - a;
  return Pair{sum, (a - (sum - part)) + (b - part)};
}

/* a * b exactly, short of underflow. */
TW_FN Pair exact_product(Real a, Real b) {
  const Real product = a * b;
  return Pair{product, fma(a, b, -product)};
}

TW_FN Pair product(Pair a, Pair b) {
  Pair p = exact_product(a.hi, b.hi);
  p.lo = fma(a.hi, b.lo, fma(a.lo, b.hi, p.lo));
  return p;
}

/* (n.hi + n.lo) / (d.hi + d.lo) in two parts whose sum is not yet rounded. */
TW_FN Pair quotient_parts(Pair n, Pair d) {
  const Real inverse = Real(1.0) / d.hi;
  const Real q = n.hi * inverse;
  const Real rest = fma(-q, d.lo, fnma(q, d.hi, n.hi) + n.lo);
  return Pair{q, rest * inverse};
}

/* The same, rounded: little more than half a unit in the last place off. */
TW_FN Real quotient(Pair n, Pair d) {
  const Pair q = quotient_parts(n, d);
  return q.hi + q.lo;
}

/* x (p.hi + p.lo), rounded. */
TW_FN Real times(Real x, Pair p) {
  const Real high = x * p.hi;
  return high + fma(x, p.lo, fma(x, p.hi, -high));
}

}  // namespace tw

#endif
