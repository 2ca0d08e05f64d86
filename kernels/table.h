/* A table of one variable, tw.interp: straight lines between K points, the end values outside.
 *
 * The knots rise strictly. A lane reads the interval whose left knot is the last one at or below
 * x, the first or the last interval outside. The value is exact at knots, nan where x is nan. The
 * slope is that of the interval: at a knot of the one to its right, at the last knot of the one to
 * its left, and 0 outside and where x is nan.
 */
#ifndef TW_TABLE_H
#define TW_TABLE_H

#include "lane.h"

namespace tw {

/* Half-open steps of a search over K - 1 intervals: the largest power of two below K - 1. */
TW_FN constexpr int table_stride(int intervals) {
  int stride = 1;
  while (2 * stride < intervals) stride *= 2;
  return stride;
}

/* Up to this many knots they are compared one after another, without a gather. */
#define TW_SHORT_TABLE 8

template <int K>
TW_FN Int table_interval(const real* knots, Real x) {
  Int index = Int(0);
  if constexpr (K <= TW_SHORT_TABLE) {
    for (int i = 1; i < K - 1; ++i) index = select(x >= Real(knots[i]), Int(i), index);
  } else {
    for (int stride = table_stride(K - 1); stride > 0; stride /= 2) {
      const Int next = index + Int(stride);
      const Int inside = min(next, Int(K - 2));
      const Mask on = (next <= Int(K - 2)) & (x >= gather(knots, inside));
      index = select(on, next, index);
    }
  }
  return index;
}

template <int K>
TW_FN Real table_value(const real* knots, const real* values, Real x) {
  const Int i = table_interval<K>(knots, x);
  const Real begin = gather(knots, i), end = gather(knots, i + Int(1));
  const Real low = gather(values, i), high = gather(values, i + Int(1));
  const Real zero = Real(real(0)), one = Real(real(1));
  const Real share = minimum(maximum((x - begin) / (end - begin), zero), one);
  const Real rise = high - low;
  return select(share < Real(real(0.5)), fma(share, rise, low), fnma(one - share, rise, high));
}

template <int K>
TW_FN Real table_slope(const real* knots, const real* values, Real x) {
  const Int i = table_interval<K>(knots, x);
  const Real begin = gather(knots, i), end = gather(knots, i + Int(1));
  const Mask inside = (x >= Real(knots[0])) & (x <= Real(knots[K - 1]));
  const Real slope = (gather(values, i + Int(1)) - gather(values, i)) / (end - begin);
  return select(inside, slope, Real(real(0)));
}

}  // namespace tw

#endif
