/* Accumulators of quantities, one set a row: numbers, and times. Their first values are the host's,
 * so that a row may go on in another launch.
 *
 * The unit defines TW_FUNCTIONALS (how many slots), TW_TOTALS, TW_MOMENTS (numbers and times kept),
 * TW_TIMES (times of `at`), TW_INTEGRALS (whether any slot integrates), TW_PROFILED (how many
 * expressions are read at nodes; they come first), the tables
 *   SLOT_KIND, SLOT_VALUE (expression), SLOT_TOTAL (number; -1 for none),
 *   SLOT_EXTRA (time kept, of an extremum -1 for none; `mean`: the number its share is; `at`: the
 *   fixed time),
 *   VALUE_READS (whether any expression reads a state),
 * and the functions `value_<k>`, for profiled ones `value_moving_<k>`, and TW_VALUE_CASES,
 * TW_MOVING_CASES: a `case` for each.
 */
#ifndef TWINML_QUANTITIES_H
#define TWINML_QUANTITIES_H

#include "nodes.h"
#include "roots.h"

namespace tw {

enum {
  SLOT_FINAL = 0,
  SLOT_INITIAL = 1,
  SLOT_INTEGRAL = 2,
  SLOT_MEAN = 3,
  SLOT_AT = 4,
  SLOT_MAX = 5,
  SLOT_MIN = 6,
  SLOT_TIME_ABOVE = 7,
  SLOT_FIRST_AT_LEAST = 8, /* the first time at which a gap is >= 0 */
  SLOT_FIRST_ABOVE = 9     /* > 0 */
};

/* Written out on CUDA, where every slot then has registers of its own. */
#ifdef __CUDACC__
#define TW_EACH_SLOT(slot) _Pragma("unroll") for (int slot = 0; slot < TW_FUNCTIONALS; ++slot)
#else
#define TW_EACH_SLOT(slot) for (int slot = 0; slot < TW_FUNCTIONALS; ++slot)
#endif

struct Totals {
  Real number[TW_SOME(TW_TOTALS)];
  Clock time[TW_SOME(TW_MOMENTS)];
  Clock fixed[TW_SOME(TW_TIMES)]; /* of `at` */
};

TW_FN void clear(Totals& totals) {
  for (int i = 0; i < TW_SOME(TW_TOTALS); ++i) totals.number[i] = Real(real(0));
  for (int i = 0; i < TW_SOME(TW_MOMENTS); ++i) totals.time[i] = clock_of(stamp());
  for (int i = 0; i < TW_SOME(TW_TIMES); ++i) totals.fixed[i] = clock_of(stamp());
}

TW_BIG void load_totals(const Args& args, Totals& totals, int lane, count row) {
  for (int i = 0; i < TW_TOTALS; ++i)
    set(totals.number[i], lane, args.totals[i * args.rows + row]);
  for (int i = 0; i < TW_MOMENTS; ++i)
    set_clock(totals.time[i], lane, args.moments[i * args.rows + row]);
  for (int i = 0; i < TW_TIMES; ++i)
    set_clock(totals.fixed[i], lane, column_at(args.quantity_times[i], row));
}

TW_BIG void store_totals(const Args& args, const Totals& totals, int lane, count row) {
  for (int i = 0; i < TW_TOTALS; ++i)
    args.totals[i * args.rows + row] = get(totals.number[i], lane);
  for (int i = 0; i < TW_MOMENTS; ++i)
    args.moments[i * args.rows + row] = get_clock(totals.time[i], lane);
}

/* ---- expressions along the path ---- */

#define TW_AROUND now(time), y, at.p, u, at.c, at.w

/* An expression at theta; at the end of the step it sees the step's own state. */
TW_BIG Real value_along(const Context& at, const Path& path, int expression, const Real& theta) {
  Real y[TW_N], unused, value = Real(real(0));
  const Mask whole = theta == Real(real(1));
  TW_EACH_STATE(s) {
    if (!VALUE_READS[s]) continue;
    motion_of(path, s, theta, y[s], unused);
    y[s] = select(whole, path.y1[s], y[s]);
  }
  const Clock time = time_at(path, theta);
  TW_INPUTS_AT(at, time, u)
  switch (expression) { TW_VALUE_CASES }
  return value;
}

#if TW_PROFILED
struct Moving {
  Real value, rate;
};

/* An expression on the polynomial and its derivative by theta. */
TW_BIG Moving moving_along(const Context& at, const Path& path, int expression,
                           const Real& theta) {
  Real y[TW_N], dy[TW_N];
  Moving moving;
  TW_EACH_STATE(s) if (VALUE_READS[s]) motion_of(path, s, theta, y[s], dy[s]);
  const Clock time = advance(path.t, theta * path.h);
  const Real dt = path.h;
  TW_INPUTS_AT(at, time, u)
  TW_INPUT_MOTION(at, dt, du)
  switch (expression) { TW_MOVING_CASES }
  return moving;
}

/* Values and rates of all expressions that are read at nodes. */
struct Profile {
  Real value[TW_PROFILED][TW_NODES], rate[TW_PROFILED][TW_NODES];
};

TW_FN void take_profile(const Context& at, const Path& path, Profile& profile) {
  for (int node = 0; node < TW_NODES; ++node) {
    const Real theta = Real(NODE_PLACE[node]);
    Real y[TW_N], dy[TW_N];
    TW_EACH_STATE(s) {
      if (!VALUE_READS[s]) continue;
      motion_of(path, s, theta, y[s], dy[s]);
      if (node + 1 == TW_NODES) y[s] = path.y1[s]; /* the end is the step's own */
    }
    const Clock time = advance(path.t, theta * path.h);
    const Real dt = path.h;
    TW_INPUTS_AT(at, time, u)
    TW_INPUT_MOTION(at, dt, du)
    for (int expression = 0; expression < TW_PROFILED; ++expression) {
      Moving moving;
      switch (expression) { TW_MOVING_CASES }
      profile.value[expression][node] = moving.value;
      profile.rate[expression][node] = moving.rate;
    }
  }
}

/* Width of piece k between neighbouring nodes. */
TW_FN real width_of(int k) { return NODE_PLACE[k + 1] - NODE_PLACE[k]; }

/* The turning point of an expression between nodes k and k + 1, whose rates have two signs. */
TW_FN Real turning_point(const Context& at, const Path& path, int expression, const Mask& wanted,
                         const Real* rate, int k) {
  return bracketed_root(
      [&](const Real& theta) { return moving_along(at, path, expression, theta).rate; }, wanted,
      Real(NODE_PLACE[k]), Real(NODE_PLACE[k + 1]), rate[k], rate[k + 1], false);
}
#endif

}  // namespace tw

#endif
