/* exp, expm1, tanh, sigmoid and what is built on exp(x) = 2^k exp(r), |r| <= log(2) / 2. */
#ifndef TW_MATH_EXP_H
#define TW_MATH_EXP_H

#include "math_base.h"

namespace tw {

/* x = k log(2) + r + rest; shifted is k + TW_SHIFT. */
struct ExpArgument {
  Real shifted, k, r, rest;
};

/* fma makes x - k ln2_hi exact: the last bit of ln2_hi counts 2^-53 and the result is below 1/2. */
TW_FN ExpArgument exp_argument(Real x) {
  ExpArgument a;
  a.shifted = fma(x, Real(TW_LOG2E), Real(TW_SHIFT));
  a.k = a.shifted - Real(TW_SHIFT);
  const Real hi = fnma(a.k, Real(TW_LN2_HI), x);
  a.r = fnma(a.k, Real(TW_LN2_LO), hi);
  a.rest = fnma(a.k, Real(TW_LN2_LO), hi - a.r);
  return a;
}

/* (exp(r) - 1 - r) / r^2 to the accuracy of exp(r). */
TW_FN Real exp_poly(Real r) {
  return poly(r, TW_POLY(TW_LIST(0x1.000000000000cp-1, 0x1.555555555555cp-3, 0x1.555555554fdd8p-5,
                                 0x1.111111110e9dep-7, 0x1.6c16c18616ed7p-10, 0x1.a01a01b455d91p-13,
                                 0x1.a0199584f4af5p-16, 0x1.71ddee3ecd7a3p-19, 0x1.28b12fe550e4bp-22,
                                 0x1.af6ee586ebd03p-26),
                         TW_LIST(0x1p-1f, 0x1.55548ap-3f, 0x1.5554e4p-5f, 0x1.123e4cp-7f,
                                 0x1.6d5168p-10f)));
}

/* The same to the accuracy of exp(r) - 1, which may be as small as r. */
TW_FN Real expm1_poly(Real r) {
  return poly(r, TW_POLY(TW_LIST(0x1p-1, 0x1.5555555555559p-3, 0x1.5555555555557p-5,
                                 0x1.111111110f642p-7, 0x1.6c16c16c15773p-10, 0x1.a01a01b00fcc5p-13,
                                 0x1.a01a01ab1a225p-16, 0x1.71ddf7e787cabp-19, 0x1.27e4d12ff642bp-22,
                                 0x1.af5f7e056c165p-26, 0x1.1f840ab1f87fcp-29),
                         TW_LIST(0x1p-1f, 0x1.555556p-3f, 0x1.5554fp-5f, 0x1.110fe2p-7f,
                                 0x1.6d438cp-10f, 0x1.a28f22p-13f)));
}

/* Near and beyond the ends of the exponent, and nan. */
TW_FN Real exp_rare(Real x, Real p, Real k) {
  Real y = scaled(p, k);
  y = select(x > Real(TW_C(710.0, 89.0f)), infinity(), y);
  y = select(x < Real(TW_C(-746.0, -104.0f)), Real(0.0), y);
  return select(isnan(x), x, y);
}

TW_MATH Real exp(Real x) {
  const Real shifted = fma(x, Real(TW_LOG2E), Real(TW_SHIFT));
  const Real k = shifted - Real(TW_SHIFT);
  const Real r = fnma(k, Real(TW_LN2_LO), fnma(k, Real(TW_LN2_HI), x));
  const Real p = Real(1.0) + fma(r * r, exp_poly(r), r);
  Real y = from_bits(bits(p) + shl(bits(shifted), TW_MANTISSA));
  const Mask rare = !(abs(x) <= Real(TW_C(708.0, 87.0f)));
  if (any(rare)) y = select(rare, exp_rare(x, p, k), y);
  return y;
}

/* exp(x) - 1 in two parts, for -1000 < x < 700 (32 bits: -120 < x < 80). */
TW_FN Pair expm1_parts(Real x) {
  const ExpArgument a = exp_argument(x);
  const Real rest = fma(a.r * a.r, expm1_poly(a.r), a.rest);
  const Real scale = power_of_two(a.shifted);
  /* 2^k (1 + r + rest) - 1: the sum of 2^k - 1 and 2^k r is kept whole. */
  const Pair sum = fast_sum(scale - Real(1.0), scale * a.r);
  return fast_sum(sum.hi, fma(scale, rest, sum.lo));
}

TW_MATH Real expm1(Real x) {
  /* Below -50 the result is -1; nan stays. */
  const Real low = Real(TW_C(-50.0, -30.0f));
  const Real inside = select(x < low, low, x);
  const Pair parts = expm1_parts(inside);
  Real y = copysign(parts.hi, x);
  const Mask rare = x > Real(TW_C(700.0, 80.0f));
  if (any(rare)) y = select(rare, exp(x), y);
  return y;
}

/* -t / (2 + t) with t = expm1(-2 |x|). Networks spend their time here: t is rounded once, where
 * expm1_parts would keep two parts, and the rounding of 2 + t alone is made good. */
TW_MATH Real tanh(Real x) {
  const Real size = abs(x);
  const Real top = Real(TW_C(22.0, 11.0f));
  const Real u = Real(-2.0) * select(size > top, top, size);
  const Real shift = Real(TW_SHIFT + TW_BIAS);
  const Real shifted = fma(u, Real(TW_LOG2E), shift);
  const Real k = shifted - shift;
  const Real hi = fnma(k, Real(TW_LN2_HI), u);
  const Real r = fnma(k, Real(TW_LN2_LO), hi);
  const Real rest = fma(r * r, expm1_poly(r), fnma(k, Real(TW_LN2_LO), hi - r));
  const Real scale = from_bits(shl(bits(shifted), TW_MANTISSA)); /* 2^k */
  const Pair sum = fast_sum(scale - Real(1.0), scale * r);
  const Real t = sum.hi + fma(scale, rest, sum.lo);
  const Pair below = fast_sum(Real(2.0), t);
  const Real inverse = Real(1.0) / below.hi;
  const Real q = t * inverse;
  const Real lost = fma(-q, below.lo, fnma(q, below.hi, t));
  return copysign(fma(lost, inverse, q), x);
}

/* 2^x: x = k + r, and exp(r log(2)). */
TW_MATH Real exp2(Real x) {
  const Real shifted = x + Real(TW_SHIFT);
  const Real k = shifted - Real(TW_SHIFT);
  const Real part = x - k;
  const Real r = part * Real(TW_LN2_HI);
  const Real rest = fma(part, Real(TW_LN2_LO), fma(part, Real(TW_LN2_HI), -r));
  const Real p = Real(1.0) + (r + fma(r * r, exp_poly(r), rest));
  Real y = from_bits(bits(p) + shl(bits(shifted), TW_MANTISSA));
  const Mask rare = !(abs(x) <= Real(TW_C(1021.0, 125.0f)));
  if (any(rare)) {
    Real edge = scaled(p, k);
    edge = select(x > Real(TW_C(1025.0, 129.0f)), infinity(), edge);
    edge = select(x < Real(TW_C(-1076.0, -151.0f)), Real(0.0), edge);
    y = select(rare, select(isnan(x), x, edge), y);
  }
  return y;
}

/* exp(x) / 2 for x > 0, which is finite a little longer than exp(x). */
TW_FN Real half_exp(Real x) {
  const ExpArgument a = exp_argument(x);
  const Real p = Real(1.0) + fma(a.r * a.r, exp_poly(a.r), a.r);
  const Real y = scaled(p, a.k - Real(1.0));
  return select(x > Real(TW_C(711.0, 90.0f)), infinity(), y);
}

#define TW_SINH_RANGE TW_C(22.0, 11.0f) /* beyond it exp(-2 x) is below the last place */

/* e (e + 2) / (2 (e + 1)) with e = expm1(|x|). */
TW_MATH Real sinh(Real x) {
  const Real size = abs(x);
  const Mask large = size > Real(TW_SINH_RANGE);
  const Pair e = expm1_parts(select(large, Real(TW_SINH_RANGE), size));
  Pair above = exact_sum(Real(2.0), e.hi), below = exact_sum(Real(1.0), e.hi);
  above.lo += e.lo;
  below.lo += e.lo;
  Real y = Real(0.5) * quotient(product(e, above), below);
  /* The product of the parts loses what underflows; there sinh(x) = x. */
  y = select(size < Real(TW_C(0x1p-28, 0x1p-13f)), size, y);
  if (any(large)) y = select(large, half_exp(size), y);
  return copysign(select(isnan(x), x, y), x);
}

/* (E + 1 / E) / 2 with E = exp(|x|). */
TW_MATH Real cosh(Real x) {
  const Real size = abs(x);
  const Mask large = size > Real(TW_SINH_RANGE);
  const Pair e = expm1_parts(select(large, Real(TW_SINH_RANGE), size));
  Pair grown = exact_sum(Real(1.0), e.hi);
  grown.lo += e.lo;
  Real y = Real(0.5) * (grown.hi + (Real(1.0) / grown.hi + grown.lo));
  if (any(large)) y = select(large, half_exp(size), y);
  return y;
}

/* value * 2^k for k <= 0, rounded once. */
TW_FN Real scaled_down(Real value, Real k) {
  Real y = value * power_of_two(k + Real(TW_SHIFT));
  const Mask rare = !(k >= Real(TW_C(-1000.0, -120.0f)));
  if (any(rare)) y = select(rare, scaled(value, k), y);
  return y;
}

/* Beyond it exp(-x) is 0, also times x. */
#define TW_SIGMOID_RANGE TW_C(800.0, 120.0f)

/* 1 / (1 + exp(-|x|)) or exp(-|x|) / (1 + exp(-|x|)). */
TW_MATH Real sigmoid(Real x) {
  const Real range = Real(TW_SIGMOID_RANGE);
  const Mask negative = signbit(x);
  const Real size = select(abs(x) > range, range, abs(x));
  const ExpArgument a = exp_argument(-size);
  const Pair sum = fast_sum(Real(1.0), a.r);
  const Real e = sum.hi + (sum.lo + fma(a.r * a.r, exp_poly(a.r), a.rest));
  const Real scale = power_of_two(max(a.k, Real(TW_C(-1000.0, -120.0f))) + Real(TW_SHIFT));
  const Pair over = {select(negative, e, Real(1.0)), Real(0.0)};
  const Real value = quotient(over, fast_sum(Real(1.0), scale * e));
  return scaled_down(value, select(negative, a.k, Real(0.0)));
}

/* factor * sigmoid(x.hi + x.lo), with one rounding for both. */
TW_FN Real times_sigmoid(Real factor, Pair x) {
  const Real range = Real(TW_SIGMOID_RANGE);
  const Mask negative = signbit(x.hi);
  const Mask far = abs(x.hi) > range;
  const Real size = select(far, range, abs(x.hi));
  const Real size_lo = select(far, Real(0.0), select(negative, -x.lo, x.lo));
  ExpArgument a = exp_argument(-size);
  a.rest -= size_lo;
  const Real square = a.r * a.r, tail = exp_poly(a.r);
  const Real near = fma(square, tail, a.r);
  Pair e = fast_sum(Real(1.0), a.r);
  e = fast_sum(e.hi, e.lo + fma(square, tail, fma(a.rest, near, a.rest)));
  const Real scale = power_of_two(max(a.k, Real(TW_C(-1000.0, -120.0f))) + Real(TW_SHIFT));
  Pair below = fast_sum(Real(1.0), scale * e.hi);
  below.lo = fma(scale, e.lo, below.lo);
  const Pair over = select(negative, e, Pair{Real(1.0), Real(0.0)});
  const Real value = times(factor, quotient_parts(over, below));
  return scaled_down(value, select(negative, a.k, Real(0.0)));
}

/* For x times what lies between 0 and 1 and is 1 above 100: the sign of x, -0 too, and inf; nan at
 * -inf, as torch. */
TW_FN Real gate_edges(Real x, Real y) {
  y = select(x > Real(100.0), x, copysign(y, x));
  return select(isnan(x) | (x == -infinity()), not_a_number(), y);
}

/* x sigmoid(x) */
TW_MATH Real silu(Real x) {
  const Real y = times_sigmoid(max(x, Real(-TW_SIGMOID_RANGE)), Pair{x, Real(0.0)});
  return gate_edges(x, y);
}

}  // namespace tw

#endif
