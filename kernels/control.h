/* Step-size control, lane by lane: the rules of twinml/solve/control.py.
 * Source: Hairer, Norsett, Wanner (1993), Solving ODEs I, sec. II.4 (initial step, factors);
 * Gustafsson (1991) for the proportional-integral form with exponents 0.7/q and 0.4/q.
 */
#ifndef TWINML_CONTROL_H
#define TWINML_CONTROL_H

#include "step_log.h"

namespace tw {

#define TW_SAFETY real(0.9)
#define TW_SHRINK real(0.2)
#define TW_GROW real(10)
#define TW_RETRY_SHRINK real(0.1) /* a non-finite trial goes back by this factor */
#define TW_SINGULAR_SHRINK real(0.25) /* one whose linear system broke down, by this one */
#define TW_MAX_RETRIES 8          /* non-finite trials in a row before the row is given up */
#define TW_SMALLEST_ERROR real(1e-10)
#define TW_STIFF_LIMIT real(3) /* of h times the dominant eigenvalue */
#define TW_STIFF_PATIENCE 15
#define TW_SPAN_SHARE real(1e-10) /* near t = 0 steps are compared with this part of the span */
#define TW_STIFF (1 << 30)        /* a status that only the host sees: hand the row over */

/* Mean square over components of value / (atol + rtol * size); `total` is 0, or nan for nan. */
TW_FN Real scaled_square(const Real* value, const Real* size, const real* settings, Real total) {
  const Real rtol = Real(settings[SETTING_RTOL]);
  TW_EACH_STATE(s) {
    Real ratio = value[s] / fma(rtol, size[s], Real(settings[SETTING_ATOL + s]));
    total = fma(ratio, ratio, total);
  }
  return total * Real(real(1) / real(TW_N));
}

TW_FN Real scaled_norm(const Real* value, const Real* size, const real* settings) {
  return sqrt(scaled_square(value, size, settings, Real(real(0))));
}

/* Half the binary logarithm of a mean square, which is that of the error itself. */
TW_FN Real error_level(const Real& square) {
  return Real(real(0.5)) * step_log2(max(square, Real(TW_SMALLEST_ERROR * TW_SMALLEST_ERROR)));
}

/* Factor on the step, given the level of this error and of the last accepted one: after an accepted
 * step by the proportional-integral rule, at most `bound`; after a rejected one below 1. */
TW_FN Real step_factor(const Mask& accepted, const Real& level, const Real& previous,
                       const Real& bound) {
  const real order = real(TW_ERROR_ORDER);
  Real power = select(accepted,
                      previous * Real(real(0.4) / order) - level * Real(real(0.7) / order),
                      -(level * Real(real(1) / order)));
  Real factor = Real(TW_SAFETY) * step_exp2(max(power, Real(real(-10))));
  return min(max(factor, Real(TW_SHRINK)), bound);
}

/* The smallest change of time that counts. */
TW_FN Real resolution(const Clock& t, const Clock& end, const Clock& first) {
  return Real(TW_CLOCK_EPS) *
         max(abs(now(t)), Real(TW_SPAN_SHARE) * abs(span(end, first)));
}

/* A bound of the above for all times of a row: what exceeds it needs no closer look. */
TW_FN Real coarse_resolution(const Clock& end, const Clock& first) {
  Real far = max(abs(now(first)), abs(now(end)));
  return Real(real(2) * TW_CLOCK_EPS) * max(far, Real(TW_SPAN_SHARE) * abs(span(end, first)));
}

/* First step by Hairer, Norsett, Wanner (1993), sec. II.4: one more evaluation. */
TW_BIG Real first_step(const Context& at, const Clock& t, const Clock& end, const Clock& first,
                       const Real* y, const Real* k1, const real* settings, real sign,
                       const Real& max_step) {
  Real size[TW_N], moved[TW_N], slope[TW_N];
  TW_EACH_STATE(s) size[s] = abs(y[s]);
  Real d0 = scaled_norm(y, size, settings), d1 = scaled_norm(k1, size, settings);
  Mask small = (d0 < Real(real(1e-5))) | (d1 < Real(real(1e-5)));
  Real h0 = select(small, Real(real(1e-6)), Real(real(0.01)) * d0 / d1);
  h0 = min(h0, abs(span(end, t)));
  TW_EACH_STATE(s) moved[s] = fma(Real(sign) * h0, k1[s], y[s]);
  rhs_at(at, advance(t, Real(sign) * h0), moved, slope);
  TW_EACH_STATE(s) slope[s] = slope[s] - k1[s];
  Real d2 = scaled_norm(slope, size, settings) / h0;
  /* nan stays: the step is then h0. */
  Real steep = maximum(d1, d2);
  Real gentle = max(h0 * Real(real(1e-3)), Real(real(1e-6)));
  Real ratio = Real(real(0.01)) / steep;
  Mask usable = (ratio > Real(real(1e-30))) & isfinite(ratio);
  Real h1 = select(steep <= Real(real(1e-15)), gentle,
                   select(usable,
                          step_exp2(step_log2(select(usable, ratio, Real(real(1)))) *
                                    Real(real(1) / real(TW_ERROR_ORDER))),
                          Real(real(0))));
  Real h = select(isfinite(steep), min(Real(real(100)) * h0, h1), h0);
  return min(max(h, Real(real(16)) * resolution(t, end, first)), max_step);
}

}  // namespace tw

#endif
