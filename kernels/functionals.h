/* Quantities, step by step: the rules of twinml/engines/functionals.py, extrema.py, crossings.py. */
#ifndef TWINML_FUNCTIONALS_H
#define TWINML_FUNCTIONALS_H

#include "crossings.h"
#include "extrema.h"

namespace tw {

/* Gauss-Legendre on [0, 1], 5 points, exact to degree 9 (Abramowitz & Stegun 25.4.30). */
#define TW_GAUSS 5
TW_TABLE real GAUSS_PLACE[] = {
    real(0.5), real(0.23076534494715845), real(0.7692346550528415),
    real(0.04691007703066802), real(0.9530899229693319)};
TW_TABLE real GAUSS_WEIGHT[] = {
    real(0.28444444444444444), real(0.23931433524968326), real(0.23931433524968326),
    real(0.11846344252809456), real(0.11846344252809456)};

/* Integrals of the expressions of all `integral` and `mean` over theta, by slot. */
TW_FN void add_gauss(const Context& at, const Path& path, Real* piece) {
  TW_EACH_SLOT(slot) piece[slot] = Real(real(0));
  for (int point = 0; point < TW_GAUSS; ++point) {
    const Real theta = Real(GAUSS_PLACE[point]);
    Real y[TW_N], unused;
    TW_EACH_STATE(s) if (VALUE_READS[s]) motion_of(path, s, theta, y[s], unused);
    const Clock time = time_at(path, theta);
    TW_INPUTS_AT(at, time, u)
    TW_EACH_SLOT(slot) {
      if (SLOT_KIND[slot] != SLOT_INTEGRAL && SLOT_KIND[slot] != SLOT_MEAN) continue;
      Real value = Real(real(0));
      switch (SLOT_VALUE[slot]) { TW_VALUE_CASES }
      piece[slot] = fma(Real(GAUSS_WEIGHT[point]), value, piece[slot]);
    }
  }
}

/* The part of a row's horizon that a span is; 1 of a horizon without length. */
TW_FN Real share_of(const Pack& pack, const Clock& from, const Clock& to) {
  const Real whole = span(pack.end, pack.first), one = Real(real(1));
  const Mask still = whole == Real(real(0));
  return select(still, one, span(to, from) / select(still, one, whole));
}

/* Is time b at or behind time a, in the direction of time? */
TW_FN Mask at_or_after(const Args& args, const Clock& a, const Clock& b) {
  return same_time(a, b) | (args.direction > 0 ? before(a, b) : before(b, a));
}

/* As value_along, from a path and a context whose addresses stay unknown. */
TW_FN Real value_there(const Context& at, const Path& path, int expression, const Real& theta) {
  const Context there = at;
  const Path part = path;
  return value_along(there, part, expression, theta);
}

/* Steps of the rows `taken`; `jumps`: the state jumps at the arrival, values there belong to what
 * follows; `stops`: the path ends here before its horizon. */
TW_FN void follow_path(const Args& args, Pack& pack, const Path& path, const Mask& taken,
                        const Mask& jumps, const Mask& stops) {
  const Context& at = pack.at;
  Totals totals = pack.totals;
  const Mask ends = taken & ((same_time(path.t1, pack.end) & !jumps) | stops);
  (void)ends;
#if TW_PROFILED
  Profile profile;
  take_profile(at, path, profile);
#endif
#if TW_INTEGRALS
  Real piece[TW_FUNCTIONALS];
  add_gauss(at, path, piece);
#endif
  TW_EACH_SLOT(slot) {
    const int expression = SLOT_VALUE[slot], extra = SLOT_EXTRA[slot];
    Real& total = totals.number[SLOT_TOTAL[slot] < 0 ? 0 : SLOT_TOTAL[slot]];
    switch (SLOT_KIND[slot]) {
      case SLOT_FINAL:
        if (any(ends))
          total = select(ends, value_there(at, path, expression, Real(real(1))), total);
        break;
      case SLOT_INITIAL: {
        /* Once: an event may follow so soon that time has not moved. */
        const Mask first = taken & isnan(total) & same_time(path.t, pack.first);
        if (any(first))
          total = select(first, value_there(at, path, expression, Real(real(0))), total);
        break;
      }
#if TW_INTEGRALS
      case SLOT_INTEGRAL:
        total = select(taken, fma(span(path.t1, path.t), piece[slot], total), total);
        break;
      case SLOT_MEAN: {
        const Real share = share_of(pack, path.t, path.t1);
        total = select(taken, fma(share, piece[slot], total), total);
        Real& lived = totals.number[extra];
        lived = select(taken & stops, share_of(pack, pack.first, path.t1), lived);
        break;
      }
#endif
      case SLOT_AT: {
        const Clock& time = totals.fixed[extra];
        /* A time on a boundary belongs to the step that begins there: values after a jump. */
        const Mask at_end = same_time(time, path.t1);
        const Mask hit = taken & at_or_after(args, path.t, time) &
                         at_or_after(args, time, path.t1) & (ends | !at_end);
        if (any(hit)) {
          const Mask still = path.h == Real(real(0));
          const Real width = select(still, Real(real(1)), path.h);
          const Real theta = select(at_end, Real(real(1)), span(time, path.t) / width);
          total = select(hit, value_there(at, path, expression, theta), total);
        }
        break;
      }
#if TW_PROFILED
      case SLOT_MAX:
      case SLOT_MIN:
        add_extremum(at, path, profile, expression, real(SLOT_KIND[slot] == SLOT_MAX ? 1 : -1),
                     taken, total, extra < 0 ? nullptr : &totals.time[extra]);
        break;
      case SLOT_TIME_ABOVE:
        add_time_above(at, path, profile, expression, taken, total);
        break;
      case SLOT_FIRST_AT_LEAST:
      case SLOT_FIRST_ABOVE:
        add_first_time(at, path, profile, expression, SLOT_KIND[slot] == SLOT_FIRST_ABOVE, taken,
                       totals.time[extra]);
        break;
#endif
    }
  }
  pack.totals = totals;
}

/* Steps to t1 that may matter to functionals that look at single times. */
TW_FN Mask totals_due(const Args& args, const Pack& pack, const Clock& t1) {
  Mask due = same_time(t1, pack.end) | same_time(pack.t, pack.first);
  for (int i = 0; i < TW_TIMES; ++i)
    due = due | (at_or_after(args, pack.t, pack.totals.fixed[i]) &
                 at_or_after(args, pack.totals.fixed[i], t1));
  return due;
}

/* Take accepted steps. */
TW_FN void add_totals(const Args& args, Pack& pack, const Path& path, const Mask& taken,
                      const Mask& jumps) {
  if (any(taken)) follow_path(args, pack, path, taken, jumps, Mask(false));
}

/* A path without length, which still has values and quantities at its one time. */
TW_BIG void rest_totals(const Args& args, Pack& pack, const Mask& rows, const Mask& stops) {
  Path path;
  rest_path(pack, path);
  follow_path(args, pack, path, rows, Mask(false), stops);
}

}  // namespace tw

#endif
