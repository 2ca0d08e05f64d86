/* log and its kin: x = 2^k m with m in [sqrt(1/2), sqrt(2)), log m from s = (m - 1) / (m + 1). */
#ifndef TW_MATH_LOG_H
#define TW_MATH_LOG_H

#include "math_exp.h"

namespace tw {

struct LogArgument {
  Real k, m;
};

#define TW_ROOT_HALF_BITS ((integer)TW_C(0x3fe6a09e667f3bcdLL, 0x3f3504f3))
#define TW_ONE_BITS ((integer)TW_C(0x3ff0000000000000LL, 0x3f800000))

/* For normal positive x. */
TW_FN LogArgument log_argument(Real x) {
  const Int moved = bits(x) + Int(TW_ONE_BITS - TW_ROOT_HALF_BITS);
  LogArgument a;
  a.k = to_real(shr(moved, TW_MANTISSA)) - Real(TW_BIAS);
  a.m = from_bits((moved & Int(TW_MANTISSA_MASK)) + Int(TW_ROOT_HALF_BITS));
  return a;
}

/* log((1 + s) / (1 - s)) / s - 2 over z = s^2. */
TW_FN Real log_poly(Real z) {
  return poly(z, TW_POLY(TW_LIST(0x1.5555555555595p-1, 0x1.999999997f26cp-2, 0x1.249249427c47dp-2,
                                 0x1.c71c51a26870dp-3, 0x1.746652b1500b2p-3, 0x1.399fd376aebe3p-3,
                                 0x1.2f17efa94bb3cp-3),
                         TW_LIST(0x1.555554p-1f, 0x1.999bd4p-2f, 0x1.23f1a2p-2f, 0x1.ec1d96p-3f)));
}

/* k log(2) + log(1 + f); the order of the sums is fdlibm's (Sun Microsystems 1993, e_log.c). */
TW_FN Real log_core(Real k, Real f) {
  const Real s = f / (f + Real(2.0));
  const Real z = s * s;
  const Real half_square = Real(0.5) * f * f;
  const Real rest = fma(s, fma(z, log_poly(z), half_square), k * Real(TW_LN2_LO));
  return fma(k, Real(TW_LN2_HI), f - (half_square - rest));
}

TW_FN Real log_core(LogArgument a) { return log_core(a.k, a.m - Real(1.0)); }

/* (atanh(s) / s - 1 - z / 3) / z^2 over z = s^2. */
TW_FN Real pow_poly(Real z) {
  return poly(z, TW_POLY(TW_LIST(0x1.9999999999995p-3, 0x1.2492492493153p-3, 0x1.c71c71c563a8ep-4,
                                 0x1.745d183e4e87ap-4, 0x1.3b135fe084404p-4, 0x1.112117e6e98e1p-4,
                                 0x1.de25389d2da68p-5, 0x1.eb7e3f7d17bbdp-5),
                         TW_LIST(0x1.999998p-3f, 0x1.2493acp-3f, 0x1.c644a4p-4f, 0x1.8fee1ap-4f)));
}

/* log(2^k m) in two parts, about 2^-65 (2^-34) of its value off: pow multiplies it by up to 2^10. */
TW_FN Pair log_parts(LogArgument a) {
  const Real one = Real(1.0);
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
  Pair w = fast_sum(Real(TW_C(0x1.5555555555555p-2, 0x1.555556p-2f)), z.hi * pow_poly(z.hi));
  w.lo += Real(TW_C(0x1.5555555555555p-56, -0x1.555556p-27f));
  const Pair cubic = product(s, product(z, w));
  Pair half = fast_sum(s.hi, cubic.hi);
  half.lo += s.lo + cubic.lo;
  /* k times the first part of log(2) is exact: that has 42 (14) bits. */
  Pair sum = fast_sum(a.k * Real(TW_C(0x1.62e42fefa38p-1, 0x1.62e8p-1f)), half.hi + half.hi);
  sum.lo += fma(a.k, Real(TW_C(0x1.ef35793c7673p-45, -0x1.e8082ep-16f)), half.lo + half.lo);
  return fast_sum(sum.hi, sum.lo);
}

/* Subnormals, zeros, negative numbers, inf and nan. */
TW_FN Real log_edges(Real x, Real y) {
  y = select(x == Real(0.0), -infinity(), y);
  y = select(x < Real(0.0), not_a_number(), y);
  y = select(x == infinity(), x, y);
  return select(isnan(x), x, y);
}

TW_FN Mask log_rare(Real x) { return !((x >= Real(TW_TINY)) & (x <= Real(TW_HUGE))); }

/* x * 2^54 and the k to take away, where x is subnormal. */
TW_FN LogArgument log_argument_any(Real x) {
  const Mask small = x < Real(TW_TINY);
  LogArgument a = log_argument(select(small, x * Real(TW_C(0x1p54, 0x1p25f)), x));
  a.k = select(small, a.k - Real(TW_C(54.0, 25.0f)), a.k);
  return a;
}

TW_MATH Real log(Real x) {
  const Mask rare = log_rare(x);
  Real y = log_core(log_argument(x));
  if (any(rare)) y = select(rare, log_edges(x, log_core(log_argument_any(x))), y);
  return y;
}

/* log(1 + v.hi + v.lo) for 1 + v > 0: what 1 + v loses in rounding goes to f. */
TW_FN Real log1p_core(Pair v) {
  Pair u = exact_sum(Real(1.0), v.hi);
  u.lo += v.lo;
  const LogArgument a = log_argument(u.hi);
  /* Far from 1 the rest does not count, and 2^-k may have no number. */
  const Real back = power_of_two(max(-a.k, Real(TW_C(-1000.0, -120.0f))) + Real(TW_SHIFT));
  const Real f = (a.m - Real(1.0)) + u.lo * back;
  return log_core(a.k, f);
}

TW_MATH Real log1p(Real x) {
  Real y = log1p_core(Pair{x, Real(0.0)});
  const Mask rare = !((x > Real(-1.0)) & (x <= Real(TW_HUGE)));
  if (any(rare)) y = select(rare, log_edges(Real(1.0) + x, y), y);
  return select(abs(x) < Real(TW_C(0x1p-54, 0x1p-25f)), x, y);
}

/* log(1 + exp(beta x)) / beta, and x itself where beta x > threshold, as torch. */
TW_FN Real softplus(Real x, Real beta, Real threshold) {
  const Real scaled_x = x * beta;
  const Real e = exp(min(scaled_x, threshold));
  return select(scaled_x > threshold, x, log1p(select(isnan(x), x, e)) / beta);
}

TW_MATH Real softplus(Real x) {
  const Real top = Real(20.0);
  return select(x > top, x, log1p(exp(select(x > top, top, x))));
}

/* log of the base whose 1 / log(base) is given in two parts; powers of the base come out exact. */
TW_FN Real log_of_base(Real x, Pair inverse) {
  const Mask rare = log_rare(x);
  const LogArgument a = log_argument(x);
  const Pair y = product(log_parts(a), inverse);
  Real out = y.hi + y.lo;
  if (any(rare)) {
    const Pair edge = product(log_parts(log_argument_any(x)), inverse);
    out = select(rare, log_edges(x, edge.hi + edge.lo), out);
  }
  return out;
}

TW_MATH Real log2(Real x) {
  return log_of_base(x, Pair{Real(TW_LOG2E), Real(TW_C(0x1.777d0ffda0d24p-56, 0x1.4ae0cp-26f))});
}

TW_MATH Real log10(Real x) {
  return log_of_base(x, Pair{Real(TW_C(0x1.bcb7b1526e50ep-2, 0x1.bcb7b2p-2f)),
                             Real(TW_C(0x1.95355baaafad3p-57, -0x1.5b235ep-27f))});
}

}  // namespace tw

#endif
