/* erf, erfc and the two forms of gelu. */
#ifndef TW_MATH_ERF_H
#define TW_MATH_ERF_H

#include "math_exp.h"

namespace tw {

/* erf(x) / x - 1 over z = x^2, |x| <= 1. */
TW_FN Real erf_poly(Real z) {
  return poly(z, TW_POLY(TW_LIST(0x1.06eba8214db69p-3, -0x1.812746b0379fdp-2, 0x1.ce2f21a04362bp-4,
                                 -0x1.b82ce312abdf4p-6, 0x1.565bcd129583p-8, -0x1.c02db49a3e497p-11,
                                 0x1.f9a3351db9dfap-14, -0x1.f4d331467d73ap-17,
                                 0x1.b9ee75c84e1d2p-20, -0x1.5f97066aa5872p-23,
                                 0x1.fc6bc7b4292a8p-27, -0x1.464ec4a740908p-30,
                                 0x1.28ff50a2ca563p-34),
                         TW_LIST(0x1.06eba8p-3f, -0x1.81274p-2f, 0x1.ce2d5p-4f, -0x1.b7fe8ap-6f,
                                 0x1.542da4p-8f, -0x1.a5063cp-11f, 0x1.4c22ap-14f)));
}

/* (g(t) - g(0)) / t with g = (1 + 9/8 x) exp(x^2) erfc(x) and t = (x - 4) / (x + 4): a variable of
 * Shepherd and Laframboise (1981), in which one polynomial serves all x >= 0. The 9/8 makes g flat
 * at 0, so that the rounding of t does not show. */
TW_FN Real erfcx_poly(Real t) {
  return poly(t, TW_POLY(TW_LIST(-0x1.88f7ef80ff62ep-3, 0x1.ab6160c8dc48ap-4,
                                 -0x1.12e8a665fa561p-5, -0x1.2c41863364543p-7,
                                 0x1.9b7c27f72d57dp-6, -0x1.82f2f2982a719p-6,
                                 0x1.f4f0daa96fcfep-7, -0x1.e0b2882006a5bp-8,
                                 0x1.452c04343af78p-9, -0x1.c8efa7399bfb3p-12,
                                 -0x1.452b0aac62994p-14, 0x1.39f8d5e8c3c67p-14,
                                 -0x1.e88744f7a91f2p-17, -0x1.514473941eefep-18,
                                 0x1.97a30c2fc50a7p-19, 0x1.82ae3379639a6p-25,
                                 -0x1.cab6524466decp-22, 0x1.91f4dd114d16ep-25,
                                 0x1.f151ed9810824p-25, -0x1.8d9cf44aa4732p-28,
                                 -0x1.d65568101ab2bp-28, -0x1.a71a0d87a7cfbp-31),
                         TW_LIST(-0x1.88f7fp-3f, 0x1.ab616p-4f, -0x1.12e7e6p-5f, -0x1.2c3da2p-7f,
                                 0x1.9b6206p-6f, -0x1.8324bap-6f, 0x1.f600e6p-7f, -0x1.da89fep-8f,
                                 0x1.44bf06p-9f, -0x1.55f28p-11f, -0x1.4be79ap-12f)));
}

#define TW_ERFCX_MIDDLE_HI TW_C(0x1.81ca5c6ac35d4p-1, 0x1.81ca5cp-1f)
#define TW_ERFCX_MIDDLE_LO TW_C(-0x1.25db6c4d3fa88p-56, 0x1.ab0d74p-27f)

/* erfc(x) = value * 2^k */
struct ErfcParts {
  Pair value;
  Real k;
};

/* For x = x.hi + x.lo >= 0 with its square, both given as precisely as a pair. */
TW_FN ErfcParts erfc_parts(Pair x, Pair square) {
  const Real t = (x.hi - Real(4.0)) / (x.hi + Real(4.0));
  Pair g = exact_sum(Real(TW_ERFCX_MIDDLE_HI), t * erfcx_poly(t));
  g.lo += Real(TW_ERFCX_MIDDLE_LO);
  ExpArgument a = exp_argument(-square.hi);
  a.rest -= square.lo;
  const Real r2 = a.r * a.r, tail = exp_poly(a.r);
  Pair e = fast_sum(Real(1.0), a.r);
  e = fast_sum(e.hi, e.lo + fma(r2, tail, fma(a.rest, fma(r2, tail, a.r), a.rest)));
  const Pair slope = exact_product(Real(1.125), x.hi);
  Pair below = exact_sum(slope.hi, Real(1.0));
  below.lo += fma(Real(1.125), x.lo, slope.lo);
  return ErfcParts{quotient_parts(product(g, e), below), a.k};
}

/* erfc(x) for 1 <= x <= 6, some units off: erf takes it from 1. */
TW_FN Real erfc_rough(Real x) {
  const Real t = (x - Real(4.0)) / (x + Real(4.0));
  const Real g = fma(t, erfcx_poly(t), Real(TW_ERFCX_MIDDLE_HI));
  const Pair square = exact_product(x, x);
  const ExpArgument a = exp_argument(-square.hi);
  const Real e = Real(1.0) + (a.r + fma(a.r * a.r, exp_poly(a.r), a.rest - square.lo));
  return g / fma(Real(1.125), x, Real(1.0)) * e * power_of_two(a.shifted);
}

/* Beyond it erfc rounds to 0. */
#define TW_ERFC_RANGE TW_C(28.0, 10.25f)

TW_MATH Real erf(Real x) {
  const Real size = abs(x);
  const Real z = size * size;
  Real y = fma(size, erf_poly(z), size);
  const Mask large = size > Real(1.0);
  if (any(large)) {
    const Real top = Real(TW_C(6.0, 4.0f));
    y = select(large, Real(1.0) - erfc_rough(select(size > top, top, size)), y);
  }
  return copysign(select(isnan(x), x, y), x);
}

TW_MATH Real erfc(Real x) {
  const Real range = Real(TW_ERFC_RANGE);
  const Real size = abs(x);
  const Real inside = select(size > range, range, size);
  const ErfcParts c = erfc_parts(Pair{inside, Real(0.0)}, exact_product(inside, inside));
  const Real y = scaled(c.value.hi + c.value.lo, c.k);
  return select(isnan(x), x, select(signbit(x), Real(2.0) - y, y));
}

/* x erfc(-x / sqrt(2)) / 2; nan at -inf, as torch. */
TW_MATH Real gelu(Real x) {
  const Real range = Real(TW_C(39.0, 14.4f));
  const Real size = abs(x);
  const Real inside = select(size > range, range, size);
  const Pair root_half = {Real(TW_C(0x1.6a09e667f3bcdp-1, 0x1.6a09e6p-1f)),
                          Real(TW_C(-0x1.bdd3413b26456p-55, 0x1.9fcef4p-27f))};
  const Pair u = product(Pair{inside, Real(0.0)}, root_half);
  Pair square = exact_product(inside, inside);
  square.hi *= Real(0.5);
  square.lo *= Real(0.5);
  const ErfcParts c = erfc_parts(u, square);
  const Real negative = scaled(times(Real(-0.5) * inside, c.value), c.k);
  /* x (2 - erfc(|x| / sqrt(2))) / 2 for x > 0 */
  const Real scale = power_of_two(max(c.k, Real(TW_C(-100.0, -50.0f))) + Real(TW_SHIFT));
  Pair most = fast_sum(Real(2.0), -(scale * c.value.hi));
  most.lo = fnma(scale, c.value.lo, most.lo);
  const Real y = select(signbit(x), negative, times(Real(0.5) * x, most));
  return gate_edges(x, y);
}

/* x sigmoid(2 sqrt(2 / pi) (x + 0.044715 x^3)), which is x (1 + tanh(...)) / 2; nan at -inf. */
TW_MATH Real gelu_tanh(Real x) {
  const Real range = Real(TW_C(30.0, 14.0f));
  const Real size = abs(x);
  const Real inside = copysign(select(size > range, range, size), x);
  const Pair linear = {Real(TW_C(0x1.9884533d43651p0, 0x1.988454p0f)),
                       Real(TW_C(-0x1.cbc0d30ebfd15p-54, -0x1.857936p-25f))};
  const Pair cubic = {Real(TW_C(0x1.2444f2a4d8b4bp-4, 0x1.2444f2p-4f)),
                      Real(TW_C(-0x1.3023b0e5fbc6ep-58, 0x1.49b16ap-29f))};
  const Pair square = exact_product(inside, inside);
  const Pair c3 = product(square, cubic);
  Pair slope = exact_sum(linear.hi, c3.hi);
  slope.lo += linear.lo + c3.lo;
  const Pair a = product(Pair{inside, Real(0.0)}, slope);
  /* Far below 0 the power of two is that of `range`: so must be the factor. */
  const Real factor = max(x, -range);
  const Real y = times_sigmoid(factor, fast_sum(a.hi, a.lo));
  return gate_edges(x, y);
}

}  // namespace tw

#endif
