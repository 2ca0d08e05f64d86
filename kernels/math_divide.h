/* fmod, torch's remainder, hypot; relu and sign. */
#ifndef TW_MATH_DIVIDE_H
#define TW_MATH_DIVIDE_H

#include "math_base.h"

namespace tw {

/* fmod of one pair of values, by long division in integers: any quotient, any subnormal. */
TW_BIG real fmod_one(real a, real b) {
  const integer sign = get(bits(Real(a)), 0) & ~(integer)(((natural)1 << (TW_BITS - 1)) - 1);
  natural x = (natural)get(bits(abs(Real(a))), 0);
  natural y = (natural)get(bits(abs(Real(b))), 0);
  const natural infinite = (natural)TW_C(0x7ff0000000000000LL, 0x7f800000);
  if (y == 0 || x >= infinite || y > infinite) {
    const real zero = a - a;
    return zero / zero;
  }
  if (x < y) return a;
  const natural unit = (natural)1 << TW_MANTISSA;
  int ex = (int)(x >> TW_MANTISSA), ey = (int)(y >> TW_MANTISSA);
  natural mx = ex ? (x & (unit - 1)) | unit : x, my = ey ? (y & (unit - 1)) | unit : y;
  if (!ex) ex = 1;
  if (!ey) ey = 1;
  for (; mx < unit; --ex) mx <<= 1;
  for (; my < unit; --ey) my <<= 1;
  for (; ex > ey; --ex) {
    if (mx >= my) mx -= my;
    mx <<= 1;
  }
  if (mx >= my) mx -= my;
  natural out = 0;
  if (mx) {
    for (; mx < unit; --ex) mx <<= 1;
    out = ex > 0 ? (mx & (unit - 1)) | ((natural)ex << TW_MANTISSA) : mx >> (1 - ex);
  }
  return get(from_bits(Int((integer)out | sign)), 0);
}

/* fmod_one in the lanes of `rare`, r in the others. */
TW_BIG Real fmod_lanes(Real a, Real b, Mask rare, Real r) {
  for (int lane = 0; lane < TW_LANES; ++lane) {
    if (get(rare, lane)) set(r, lane, fmod_one(get(a, lane), get(b, lane)));
  }
  return r;
}

/* C's fmod, exact: for a quotient below 2^50 one fma, off by one divisor at most. */
TW_MATH Real fmod(Real a, Real b) {
  const Real size = abs(a), unit = abs(b);
  const Real q = trunc(size / unit);
  Real r = fnma(q, unit, size);
  r = select(r < Real(0.0), r + unit, r);
  r = select(r >= unit, r - unit, r);
  const Mask rare = !((q <= Real(TW_C(0x1p50, 0x1p21f))) & (unit <= Real(TW_HUGE)));
  r = copysign(r, a);
  if (any(rare)) {
    const Real exact = fmod_lanes(a, b, rare, r);
    r = exact;
  }
  return r;
}

/* torch.remainder: the sign of the divisor. */
TW_MATH Real remainder(Real a, Real b) {
  const Real r = fmod(a, b);
  const Real zero = Real(0.0);
  return select((r != zero) & ((b < zero) ^ (r < zero)), r + b, r);
}

TW_MATH Real hypot(Real x, Real y) {
  Real a = abs(x), b = abs(y);
  const Real large = max(a, b);
  const Mask rare = !((large <= Real(TW_C(0x1p500, 0x1p60f))) &
                      (large >= Real(TW_C(0x1p-450, 0x1p-50f))));
  Real back = Real(1.0);
  if (any(rare)) {
    const Mask small = large < Real(1.0);
    const Real down = Real(TW_C(0x1p-600, 0x1p-90f)), up = Real(TW_C(0x1p600, 0x1p90f));
    const Real factor = select(rare, select(small, up, down), Real(1.0));
    back = select(rare, select(small, down, up), Real(1.0));
    a = a * factor;
    b = b * factor;
  }
  const Pair aa = exact_product(a, a), bb = exact_product(b, b);
  Pair sum = exact_sum(aa.hi, bb.hi);
  sum.lo += aa.lo + bb.lo;
  const Real out = sqrt(sum.hi + sum.lo) * back;
  const Mask endless = (abs(x) == infinity()) | (abs(y) == infinity());
  return select(endless, infinity(), select(isnan(x) | isnan(y), not_a_number(), out));
}

/* nan and -0 stay, as torch. */
TW_FN Real relu(Real x) { return select(x < Real(0.0), Real(0.0), x); }

/* 0 at nan, as torch. */
TW_FN Real sign(Real x) {
  return select(x > Real(0.0), Real(1.0), select(x < Real(0.0), Real(-1.0), Real(0.0)));
}

}  // namespace tw

#endif
