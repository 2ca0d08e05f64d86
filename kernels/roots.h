/* Roots in a bracket, for all rows of a pack: the rules of twinml/engines/rootfind.py, lane by lane.
 * Source: Chandrupatla (1997), Adv. Eng. Softw. 28, 145-149: inverse quadratic interpolation where
 * three points allow it, bisection elsewhere.
 */
#ifndef TWINML_ROOTS_H
#define TWINML_ROOTS_H

namespace tw {

#if TW_BITS == 64
#define TW_EPS real(2.220446049250313e-16)
#else
#define TW_EPS real(1.1920928955078125e-7)
#endif
#define TW_MOST_ROOT_STEPS 110 /* twice the halvings of [0, 1]; interpolation needs about 8 */

/* -1, 0 or 1; 0 for nan. */
TW_FN Real side_of(const Real& x) {
  const Real zero = Real(real(0)), one = Real(real(1));
  return select(x > zero, one, select(x < zero, -one, zero));
}

/* The value, 0 for nan, the largest number for an infinite one. */
TW_FN Real tamed(const Real& x) {
  const Real most = Real(TW_HUGE);
  return select(isnan(x), Real(real(0)), max(min(x, most), -most));
}

/* A root between `low` and `high`, to 4 eps, in the lanes that are `wanted`; any number in others.
 * With `beyond` a place where the value is zero or has the sign it has at `high`, instead of the
 * one where it is smallest. A lane that is done stays as it is while others go on.
 */
template <class Function>
TW_FN Real bracketed_root(const Function& function, const Mask& wanted, const Real& low,
                          const Real& high, const Real& at_low, const Real& at_high, bool beyond) {
  const Real zero = Real(real(0)), half = Real(real(0.5)), one = Real(real(1));
  Real a = low, b = high, fa = at_low, fb = at_high;
  Real root = select(fa == zero, a, b);
  const Real far = side_of(fb);
  Mask open = wanted & (fa != zero) & (fb != zero);
  Real step = half;
  for (int i = 0; i < TW_MOST_ROOT_STEPS && any(open); ++i) {
    const Real point = fma(step, b - a, a);
    const Real value = function(point);
    const Mask same = side_of(value) == side_of(fa);
    const Real c = select(same, a, b), fc = select(same, fa, fb);
    b = select(same, b, a);
    fb = select(same, fb, fa);
    a = point;
    fa = value;
    /* Now a is the newest point, b lies across the root, c is the one before. */
    const Mask nearer = abs(fa) < abs(fb);
    Real best = select(nearer, a, b);
    const Real tolerance = fma(Real(real(2) * TW_EPS), abs(best), Real(real(0.5) * TW_EPS));
    const Real limit = tolerance / max(abs(b - a), Real(TW_TINY));
    const Mask done = (limit > half) | (fa == zero) | !isfinite(fa);
    if (beyond) best = select(side_of(fa) == far, a, b);
    best = select(fa == zero, a, best);
    root = select(open, best, root);
    const Real xi = (a - b) / (c - b), phi = (fa - fb) / (fc - fb), rest = one - phi;
    const Mask smooth = (phi * phi < xi) & (rest * rest < one - xi);
    const Real quadratic = fa / (fb - fa) * fc / (fb - fc) +
                           (c - a) / (b - a) * fa / (fc - fa) * fb / (fc - fb);
    step = select(smooth, quadratic, half);
    step = minimum(maximum(step, limit), one - limit);
    open = open & !done;
  }
  return root;
}

}  // namespace tw

#endif
