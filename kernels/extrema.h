/* Extrema of a path, at nodes and at stationary points: the rules of twinml/engines/extrema.py. */
#ifndef TWINML_EXTREMA_H
#define TWINML_EXTREMA_H

namespace tw {

#if TW_PROFILED
/* Peaks between nodes that beat `best` (of sign * value), piece by piece. */
TW_BIG void find_peaks(const Context& at, const Path& path, int expression, real sign,
                       const Mask* turning, const Real* rate, Real& best, Real& theta) {
  for (int k = 0; k + 1 < TW_NODES; ++k) {
    if (none(turning[k])) continue;
    const Real place = turning_point(at, path, expression, turning[k], rate, k);
    const Real peak = Real(sign) * value_along(at, path, expression, place);
    const Mask better = turning[k] & (peak > best);
    best = select(better, peak, best);
    theta = select(better, place, theta);
  }
}

/* `max` (sign 1) or `min` (-1) of a step. The first of equal extrema counts; nan is never lost. */
TW_FN void add_extremum(const Context& at, const Path& path, const Profile& profile,
                        int expression, real sign, const Mask& taken, Real& total, Clock* when) {
  const Real *value = profile.value[expression], *rate = profile.rate[expression];
  const Real turn = Real(sign), zero = Real(real(0));
  Real height[TW_NODES];
  for (int k = 0; k < TW_NODES; ++k) height[k] = turn * value[k];
  Real best = height[0], theta = zero;
  for (int k = 1; k < TW_NODES; ++k) {
    const Mask better = (height[k] > best) | (isnan(height[k]) & !isnan(best));
    best = select(better, height[k], best);
    theta = select(better, Real(NODE_PLACE[k]), theta);
  }
  /* Only a peak that can beat the best so far is located. */
  const Real old = turn * total, bar = maximum(best, old);
  Mask turning[TW_NODES - 1], some = Mask(false);
  for (int k = 0; k + 1 < TW_NODES; ++k) {
    turning[k] = taken & (turn * rate[k] > zero) & (turn * rate[k + 1] < zero);
    some = some | turning[k];
  }
  if (any(some)) {
    some = Mask(false);
    for (int k = 0; k + 1 < TW_NODES; ++k) {
      const Real slope = maximum(abs(rate[k]), abs(rate[k + 1]));
      const Real reach = fma(Real(real(2) * width_of(k)), slope,
                             maximum(height[k], height[k + 1]));
      turning[k] = turning[k] & (reach > bar);
      some = some | turning[k];
    }
    if (any(some)) {
      const Context there = at;
      const Path part = path;
      Real peak = best, place = theta;
      find_peaks(there, part, expression, sign, turning, rate, peak, place);
      best = peak;
      theta = place;
    }
  }
  const Mask wins = taken & ((best > old) | isnan(best));
  if (none(wins)) return;
  total = select(wins, turn * best, total);
  if (when) *when = pick(wins, time_at(path, theta), *when);
}
#endif

}  // namespace tw

#endif
