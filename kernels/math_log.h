/* log and its kin: x = 2^k m with m in [sqrt(1/2), sqrt(2)), log m from s = (m - 1) / (m + 1). */
#ifndef TW_MATH_LOG_H
#define TW_MATH_LOG_H

#include "math_base.h"

namespace tw {

struct LogArgument {
  Real k, m;
};

#define TW_ROOT_HALF_BITS ((integer)TW_LITERAL(0x3fe6a09e667f3bcdLL, 0x3f3504f3))
#define TW_ONE_BITS ((integer)TW_LITERAL(0x3ff0000000000000LL, 0x3f800000))

/* For normal positive x. */
TW_FN LogArgument log_argument(Real x) {
  const Int moved = bits(x) + Int(TW_ONE_BITS - TW_ROOT_HALF_BITS);
  LogArgument a;
  a.k = to_real(shr(moved, TW_MANTISSA)) - Real(real(TW_BIAS));
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

/* k log(2) + log(m); the order of the sums is fdlibm's (Sun Microsystems 1993, e_log.c). */
TW_FN Real log_core(LogArgument a) {
  const Real f = a.m - Real(real(1));
  const Real s = f / (f + Real(real(2)));
  const Real z = s * s;
  const Real half_square = Real(real(0.5)) * f * f;
  const Real rest = fma(s, fma(z, log_poly(z), half_square), a.k * Real(TW_LN2_LO));
  return fma(a.k, Real(TW_LN2_HI), f - (half_square - rest));
}

/* Subnormals, zeros, negative numbers, inf and nan. */
TW_FN Real log_edges(Real x, Real y) {
  y = select(x == Real(real(0)), -infinity(), y);
  y = select(x < Real(real(0)), not_a_number(), y);
  y = select(x == infinity(), x, y);
  return select(isnan(x), x, y);
}

TW_FN Mask log_rare(Real x) { return !((x >= Real(TW_TINY)) & (x <= Real(TW_HUGE))); }

/* x * 2^54 and the k to take away, where x is subnormal. */
TW_FN LogArgument log_argument_any(Real x) {
  const Mask small = x < Real(TW_TINY);
  LogArgument a = log_argument(select(small, x * Real(TW_LITERAL(0x1p54, 0x1p25f)), x));
  a.k = select(small, a.k - Real(TW_LITERAL(54.0, 25.0f)), a.k);
  return a;
}

TW_MATH Real log(Real x) {
  const Mask rare = log_rare(x);
  Real y = log_core(log_argument(x));
  if (any(rare)) y = select(rare, log_edges(x, log_core(log_argument_any(x))), y);
  return y;
}

}  // namespace tw

#endif
