/* asin, acos, atan, atan2 and the inverse hyperbolic functions. */
#ifndef TW_MATH_INVERSE_H
#define TW_MATH_INVERSE_H

#include "math_log.h"

namespace tw {

#define TW_QUARTER_PI_HI TW_C(0x1.921fb54442d18p-1, 0x1.921fb6p-1f)
#define TW_QUARTER_PI_LO TW_C(0x1.1a62633145c07p-55, -0x1.777a5cp-26f)

/* (asin(s) - s) / s^3 over z = s^2, |s| <= 1/2. */
TW_FN Real asin_poly(Real z) {
  return poly(z, TW_POLY(TW_LIST(0x1.5555555555577p-3, 0x1.333333332e1b5p-4, 0x1.6db6db7209136p-5,
                                 0x1.f1c71a992177dp-6, 0x1.6e8bde5eef66dp-6, 0x1.1c49f9e9a13dep-6,
                                 0x1.ca1ea227054eep-7, 0x1.758d268ee4417p-7, 0x1.6111c74a88316p-7,
                                 0x1.e878ce55107adp-9, 0x1.62daa950786bap-6, -0x1.56eedd53cbf7dp-6,
                                 0x1.0af379e651188p-5),
                         TW_LIST(0x1.55554cp-3f, 0x1.33389ap-4f, 0x1.6cab96p-5f, 0x1.04a6c6p-5f,
                                 0x1.d819b6p-7f, 0x1.33a3bp-5f)));
}

struct AsinParts {
  Mask large; /* |x| > 1/2 */
  Real s;     /* |x|, or sqrt((1 - |x|) / 2) in two parts with rest */
  Real rest;  /* asin(s) - s, and what the root lost */
};

TW_FN AsinParts asin_parts(Real x) {
  const Real size = abs(x);
  AsinParts a;
  a.large = size > Real(0.5);
  const Real z = select(a.large, Real(0.5) * (Real(1.0) - size), size * size);
  const Real root = sqrt(z);
  a.s = select(a.large, root, size);
  const Real lost = fnma(root, root, z) / (root + root);
  const Mask counts = a.large & (root > Real(0.0));
  a.rest = fma(a.s * z, asin_poly(z), select(counts, lost, Real(0.0)));
  return a;
}

/* sign * (base - scale * (s + rest)) with base a multiple of pi / 2 in two parts. */
TW_FN Real less_than(Pair base, Real s, Real rest) {
  const Pair sum = fast_sum(base.hi, -s);
  return sum.hi + (sum.lo + (base.lo - rest));
}

TW_FN Pair half_pi_times(real n) {
  return Pair{Real(n * TW_C(0x1.921fb54442d18p0, 0x1.921fb6p0f)),
              Real(n * TW_C(0x1.1a62633145c07p-54, -0x1.777a5cp-25f))};
}

/* For |x| > 1/2 pi/2 - 2 asin(sqrt((1 - |x|) / 2)). */
TW_MATH Real asin(Real x) {
  const AsinParts a = asin_parts(x);
  const Real large = less_than(half_pi_times(1), a.s + a.s, a.rest + a.rest);
  return copysign(select(a.large, large, a.s + a.rest), x);
}

TW_MATH Real acos(Real x) {
  const AsinParts a = asin_parts(x);
  const Mask negative = signbit(x);
  const Real twice = a.s + a.s, rest = a.rest + a.rest;
  const Real large = select(negative, less_than(half_pi_times(2), twice, rest), twice + rest);
  const Real small = less_than(half_pi_times(1), copysign(a.s, x), select(negative, -a.rest, a.rest));
  return select(a.large, large, small);
}

/* (atan(t) - t) / t^3 over z = t^2, |t| <= tan(pi / 8). */
TW_FN Real atan_poly(Real z) {
  return poly(z, TW_POLY(TW_LIST(-0x1.5555555555554p-2, 0x1.99999999995bap-3,
                                 -0x1.2492492471e3ep-3, 0x1.c71c71b5d9de4p-4,
                                 -0x1.745d148ce9987p-4, 0x1.3b136aaf7b86p-4,
                                 -0x1.110c448391322p-4, 0x1.e16ec7e2735d8p-5,
                                 -0x1.ab6a77fbf4d5fp-5, 0x1.70a59b71ea2p-5,
                                 -0x1.119c229fbe0abp-5, 0x1.ef97bb19b0756p-7),
                         TW_LIST(-0x1.555548p-2f, 0x1.999128p-3f, -0x1.23ae52p-3f, 0x1.b193ecp-4f,
                                 -0x1.f05af6p-5f)));
}

/* The angle of (across, up), both >= 0 and not both 0 or inf, in the first quadrant or, where
 * `turned`, mirrored to the second. */
TW_FN Real angle_of(Real up, Real across, Mask turned) {
  const Mask steep = up > across;
  const Real n = select(steep, across, up);
  const Real d = select(steep, up, across);
  /* Above tan(pi / 8): atan(n / d) = pi/4 + atan((n - d) / (n + d)). */
  const Mask middle = n > Real(TW_C(0x1.a827999fcef32p-2, 0x1.a8279ap-2f)) * d;
  const Pair over = select(middle, exact_sum(n, -d), Pair{n, Real(0.0)});
  const Pair under = select(middle, fast_sum(d, n), Pair{d, Real(0.0)});
  const Real inverse = Real(1.0) / under.hi;
  const Real t = over.hi * inverse;
  const Real lost = fma(-t, under.lo, fnma(t, under.hi, over.hi) + over.lo) * inverse;
  const Real z = t * t;
  const Real rest = fma(t * z, atan_poly(z), lost);
  /* eighths of a turn before, and the sign of what is added. */
  Real eighths = select(middle, Real(1.0), Real(0.0));
  eighths = select(steep, Real(2.0) - eighths, eighths);
  eighths = select(turned, Real(4.0) - eighths, eighths);
  const Mask back = steep ^ turned;
  const Real base = eighths * Real(TW_QUARTER_PI_HI);
  const Real base_lo = fma(eighths, Real(TW_QUARTER_PI_HI), -base) + eighths * Real(TW_QUARTER_PI_LO);
  const Pair sum = fast_sum(base, select(back, -t, t));
  return sum.hi + (sum.lo + (base_lo + select(back, -rest, rest)));
}

TW_MATH Real atan(Real x) {
  const Real size = abs(x);
  /* From 2^60 on the angle is pi / 2; inf over 1 has no quotient. */
  const Real top = Real(TW_C(0x1p60, 0x1p30f));
  const Real y = angle_of(select(size > top, top, size), Real(1.0), Mask(false));
  return copysign(y, x);
}

TW_MATH Real atan2(Real y, Real x) {
  Real up = abs(y), across = abs(x);
  const Mask ordinary = (max(up, across) < Real(TW_C(0x1p1000, 0x1p100f))) &
                        (min(up, across) > Real(TW_C(0x1p-900, 0x1p-80f)));
  const Mask rare = !ordinary;
  if (any(rare)) {
    const Real large = max(up, across);
    /* Both into the range where neither quotients nor what they lose underflow or overflow. */
    const Mask far = large > Real(TW_C(0x1p1000, 0x1p100f));
    const Mask near = large < Real(TW_C(0x1p-800, 0x1p-60f));
    Real factor = select(far, Real(TW_C(0x1p-60, 0x1p-30f)), Real(1.0));
    factor = select(near, Real(TW_C(0x1p300, 0x1p60f)), factor);
    const Mask both_zero = large == Real(0.0);
    const Mask both_endless = min(up, across) == infinity();
    const Mask one_endless = (large == infinity()) & !both_endless;
    Real u = select(rare, up * factor, up), a = select(rare, across * factor, across);
    /* (0, 0) lies on the axis, (inf, inf) on the diagonal, one inf on its axis. */
    a = select(both_zero | both_endless, Real(1.0), a);
    u = select(both_endless, Real(1.0), u);
    const Mask u_endless = up == infinity();
    u = select(one_endless, select(u_endless, Real(1.0), Real(0.0)), u);
    a = select(one_endless, select(u_endless, Real(0.0), Real(1.0)), a);
    up = u;
    across = a;
  }
  const Real angle = copysign(angle_of(up, across, signbit(x)), y);
  return select(isnan(x) | isnan(y), not_a_number(), angle);
}

/* log1p(v) with v = |x| + x^2 / (1 + sqrt(1 + x^2)). */
TW_MATH Real asinh(Real x) {
  const Real size = abs(x);
  const Mask large = size > Real(TW_C(0x1p30, 0x1p14f));
  const Real inside = select(large, Real(1.0), size);
  const Pair square = exact_product(inside, inside);
  Pair one_more = exact_sum(Real(1.0), square.hi);
  one_more.lo += square.lo;
  const Real root = sqrt(one_more.hi);
  const Real root_lo = (fnma(root, root, one_more.hi) + one_more.lo) / (root + root);
  Pair below = fast_sum(root, Real(1.0));
  below.lo += root_lo;
  const Real part = quotient(square, below);
  const Pair v = fast_sum(inside, part);
  Real y = log1p_core(v);
  y = select(size < Real(TW_C(0x1p-28, 0x1p-13f)), size, y);
  if (any(large)) {
    /* log(2 |x|) */
    const LogArgument a = log_argument(min(size, Real(TW_HUGE)));
    const Real far = log_core(LogArgument{a.k + Real(1.0), a.m});
    y = select(large, select(size == infinity(), size, far), y);
  }
  return copysign(select(isnan(x), x, y), x);
}

/* log1p(v) with v = (x - 1) + sqrt((x - 1) (x + 1)). */
TW_MATH Real acosh(Real x) {
  const Mask large = x > Real(TW_C(0x1p30, 0x1p14f));
  const Real inside = select(large, Real(2.0), x);
  const Real below = inside - Real(1.0);
  const Pair square = product(Pair{below, Real(0.0)}, exact_sum(inside, Real(1.0)));
  const Real root = sqrt(square.hi);
  Real lost = (fnma(root, root, square.hi) + square.lo) / (root + root);
  lost = select(root > Real(0.0), lost, Real(0.0));
  Pair v = exact_sum(below, root);
  v.lo += lost;
  Real y = log1p_core(v);
  y = select(v.hi < Real(TW_C(0x1p-54, 0x1p-25f)), v.hi, y);
  if (any(large)) {
    const LogArgument a = log_argument(min(x, Real(TW_HUGE)));
    const Real far = log_core(LogArgument{a.k + Real(1.0), a.m});
    y = select(large, select(x == infinity(), x, far), y);
  }
  y = select(x < Real(1.0), not_a_number(), y);
  return select(isnan(x), x, y);
}

/* log1p(v) / 2 with v = 2 |x| / (1 - |x|). */
TW_MATH Real atanh(Real x) {
  const Real size = abs(x);
  const Pair over = {size + size, Real(0.0)};
  const Pair under = fast_sum(Real(1.0), -size);
  const Real inverse = Real(1.0) / under.hi;
  const Real q = over.hi * inverse;
  const Real lost = fma(-q, under.lo, fnma(q, under.hi, over.hi)) * inverse;
  Real y = Real(0.5) * log1p_core(Pair{q, lost});
  y = select(size < Real(TW_C(0x1p-28, 0x1p-13f)), size, y);
  y = select(size == Real(1.0), infinity(), y);
  y = select(size > Real(1.0), not_a_number(), y);
  return copysign(select(isnan(x), x, y), x);
}

}  // namespace tw

#endif
