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

/* (g(t) - g(0)) / t with g = (1 + 2 x) exp(x^2) erfc(x) and t = (x - 4) / (x + 4): a variable of
 * Shepherd and Laframboise (1981), in which one polynomial serves all x >= 0. */
TW_FN Real erfcx_poly(Real t) {
  return poly(t, TW_POLY(TW_LIST(-0x1.1df1ad154a29cp-3, 0x1.f7f5df66fd815p-7, 0x1.16ecefcfa603ep-4,
                                 -0x1.9ddb23c3e9105p-4, 0x1.7fee004df6aaap-4,
                                 -0x1.0fb06dfe5014fp-4, 0x1.3079edf9fd59ap-5,
                                 -0x1.09623881e3978p-6, 0x1.49c6718f5a19fp-8,
                                 -0x1.8d4a9ede7a2edp-11, -0x1.a1de81475a451p-13,
                                 0x1.3be0c372f0024p-13, -0x1.996a36d4adb96p-16,
                                 -0x1.78a654263764ap-17, 0x1.7fb29a91ed938p-18,
                                 0x1.43e3d7b4613ebp-22, -0x1.c0180085ffdd8p-21,
                                 0x1.0cb7fce9eb28ep-24, 0x1.ed8bbd398c341p-24,
                                 -0x1.0acda30355896p-27, -0x1.d064d1ebdb42fp-27,
                                 -0x1.e46415dcfd64ep-30),
                         TW_LIST(-0x1.1df1bp-3f, 0x1.f7f5cp-7f, 0x1.16eep-4f, -0x1.9dd9c8p-4f,
                                 0x1.7fdfbp-4f, -0x1.0fcc14p-4f, 0x1.30f8ccp-5f, -0x1.065efep-6f,
                                 0x1.4a8c88p-8f, -0x1.2bd634p-10f, -0x1.5251e2p-11f)));
}

/* erfc(x) = value * 2^k for x = x.hi + x.lo >= 0 with the square given, as precisely as a pair. */
struct ErfcParts {
  Real value, k;
};

TW_FN ErfcParts erfc_parts(Pair x, Pair square) {
  const Real t = (x.hi - Real(4.0)) / (x.hi + Real(4.0));
  Pair g = fast_sum(Real(TW_C(0x1.3ba5916e9fd7fp0, 0x1.3ba592p0f)), t * erfcx_poly(t));
  g.lo += Real(TW_C(-0x1.aa9c415679e6fp-55, -0x1.22c05p-25f));
  ExpArgument a = exp_argument(-square.hi);
  a.rest -= square.lo;
  const Real r2 = a.r * a.r, tail = exp_poly(a.r);
  Pair e = fast_sum(Real(1.0), a.r);
  e = fast_sum(e.hi, e.lo + fma(r2, tail, fma(a.rest, fma(r2, tail, a.r), a.rest)));
  const Real twice = x.hi + x.hi;
  Pair below = exact_sum(twice, Real(1.0));
  below.lo += x.lo + x.lo;
  return ErfcParts{quotient(product(g, e), below), a.k};
}

/* Beyond it erfc rounds to 0. */
#define TW_ERFC_RANGE TW_C(28.0, 10.25f)

/* erfc(|x|) short of its power of two; |x| is cut at the range above. */
TW_FN ErfcParts erfc_of_size(Real x) {
  const Real range = Real(TW_ERFC_RANGE);
  const Real size = abs(x);
  const Real inside = select(size > range, range, size);
  return erfc_parts(Pair{inside, Real(0.0)}, exact_product(inside, inside));
}

TW_MATH Real erf(Real x) {
  const Real size = abs(x);
  const Real z = size * size;
  Real y = fma(size, erf_poly(z), size);
  const Mask large = size > Real(1.0);
  if (any(large)) {
    const Real top = Real(TW_C(6.0, 4.0f));
    const ErfcParts c = erfc_of_size(select(size > top, top, size));
    y = select(large, Real(1.0) - c.value * power_of_two(c.k + Real(TW_SHIFT)), y);
  }
  return copysign(select(isnan(x), x, y), x);
}

TW_MATH Real erfc(Real x) {
  const ErfcParts c = erfc_of_size(x);
  const Real y = scaled(c.value, c.k);
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
  const Real half = Real(0.5) * x;
  const Real negative = scaled(half * c.value, c.k);
  const Real small = c.value * power_of_two(max(c.k, Real(TW_C(-100.0, -50.0f))) + Real(TW_SHIFT));
  const Real y = select(signbit(x), negative, half * (Real(2.0) - small));
  return select(isnan(x) | (x == -infinity()), not_a_number(), y);
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
  SigmoidParts s = sigmoid_parts(fast_sum(a.hi, a.lo));
  s.value = s.value * x;
  return select(isnan(x) | (x == -infinity()), not_a_number(), sigmoid_scaled(s));
}

}  // namespace tw

#endif
