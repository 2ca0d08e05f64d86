/* What acts on the rows of a pack from outside: parameters, inputs and timed changes in force.
 *
 * Every knot and change time is a step boundary. Inside a step the forcing is fixed by the index of
 * the interval the step lies in, never by looking up the time: a stage at the end of a step would
 * else see the value after the jump, and the order of the method would fall to 1.
 *
 * The unit defines TW_P, TW_U, TW_CONSTANTS (parameters, inputs, constants), TW_SIGNALS, TW_CHANGES and the
 * tables SIGNAL_INPUT, SIGNAL_LINEAR, INPUT_SIGNAL (-1: constant), CHANGE_TARGET (a parameter, or
 * TW_P + an input), CHANGE_ACTION.
 */
#ifndef TWINML_FORCING_H
#define TWINML_FORCING_H

namespace tw {

#define TW_SOURCES (TW_SIGNALS + TW_CHANGES)
#define TW_SOME(n) ((n) > 0 ? (n) : 1) /* an array may not be empty */

enum { CHANGE_SET = 0, CHANGE_MULTIPLY = 1, CHANGE_ADD = 2 };

struct Context {
  Real p[TW_SOME(TW_P)];
  Real u[TW_SOME(TW_U)];  /* value of an input at its last knot */
  Real du[TW_SOME(TW_U)]; /* its slope; only read for linear ones */
#if TW_LINEAR
  Clock since[TW_SOME(TW_U)];
#endif
  Real c[TW_SOME(TW_CONSTANTS)];
#if TW_DIRECTIONS
  /* Derivatives of what moves, one direction after the other. */
  Real mp[TW_DIRECTIONS * TW_SOME(TW_MOVING_P)];
  Real mu[TW_DIRECTIONS * TW_SOME(TW_MOVING_U)];
#if TW_LINEAR
  Real mr[TW_DIRECTIONS * TW_SOME(TW_MOVING_U)]; /* of the slopes of inputs */
#endif
#endif
  Weights w; /* the same for all lanes */
};

/* Inputs at a time: u itself where none is linear. */
#if TW_LINEAR
#define TW_INPUTS_AT(at, time, name)                                             \
  Real name[TW_SOME(TW_U)];                                                      \
  for (int i_ = 0; i_ < TW_U; ++i_)                                              \
    name[i_] = TW_IS_LINEAR(i_) ? fma((at).du[i_], span(time, (at).since[i_]), (at).u[i_]) \
                                : (at).u[i_];
#define TW_IS_LINEAR(i) (INPUT_SIGNAL[i] >= 0 && SIGNAL_LINEAR[INPUT_SIGNAL[i]])
#else
#define TW_INPUTS_AT(at, time, name) const Real* name = (at).u;
#endif

#if !TW_REVERSE
TW_FN void rhs_at(const Context& at, const Clock& time, const Real* y, Real* dy) {
  TW_INPUTS_AT(at, time, u)
  rhs(now(time), y, at.p, u, at.c, at.w, dy);
}
#endif

TW_FN real column_at(const Column& column, count row) { return column.data[row * column.stride]; }
TW_FN stamp column_at(const StampColumn& column, count row) {
  return column.data[row * column.stride];
}

#if TW_SIGNALS
/* When a knot of a signal comes to a row. */
TW_FN stamp knot_time(const SignalTable& table, int index, count row) {
  stamp time = table.times[index];
  return table.delay.data ? stamp_plus(time, column_at(table.delay, row)) : time;
}
#endif

#if TW_SOURCES
/* How many knots a source has, and one of them. Sources are the signals, then the changes. */
TW_FN int knots_of(const Args& args, int source) {
  return source < TW_SIGNALS ? int(args.signals[source].knots) : 2;
}
TW_FN stamp knot_of(const Args& args, int source, int index, count row) {
#if TW_SIGNALS
  if (source < TW_SIGNALS) return knot_time(args.signals[source], index, row);
#endif
  const ChangeTable& change = args.changes[source - TW_SIGNALS];
  return column_at(index == 0 ? change.at : change.until, row);
}

/* The next knot of a source in the direction of time; infinite when there is none. */
TW_FN stamp next_knot(const Args& args, int source, int pointer, count row) {
  int index = args.direction > 0 ? pointer : pointer - 1;
  if (index < 0 || index >= knots_of(args, source)) return stamp_infinite(real(args.direction));
  return knot_of(args, source, index, row);
}

/* Knots of a source before a time, or at it where `including`. */
TW_BIG int knots_behind(const Args& args, int source, count row, stamp t, bool including) {
  if (source >= TW_SIGNALS) {
    int behind = 0;
    for (int k = 0; k < 2; ++k) {
      stamp knot = knot_of(args, source, k, row);
      behind += stamp_before(knot, t) || (including && stamp_same(knot, t));
    }
    return behind;
  }
  int low = 0, high = knots_of(args, source);
  while (low < high) {
    int middle = (low + high) / 2;
    stamp knot = knot_of(args, source, middle, row);
    bool behind = stamp_before(knot, t) || (including && stamp_same(knot, t));
    if (behind)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}
#endif

/* The knot whose value holds with so many knots behind, and whether a slope leads on from it: before
 * the first knot its value holds, and so does the last one's. */
TW_FN int interval_of(int behind, int last) {
  return behind < 1 ? 0 : (behind > last ? last : behind - 1);
}
TW_FN bool rises(int behind, int last) { return behind > 0 && behind <= last; }

/* Everything in force for one lane, and its next boundary. Not hot: once a row and boundary. */
TW_BIG void refresh(const Args& args, Context& at, Clock& limit, const Clock& end, const int* pointer,
                    count row, int lane) {
  for (int i = 0; i < TW_P; ++i) set(at.p[i], lane, column_at(args.parameters[i], row));
  for (int i = 0; i < TW_CONSTANTS; ++i) set(at.c[i], lane, column_at(args.constants[i], row));
  for (int i = 0; i < TW_U; ++i) {
    set(at.du[i], lane, real(0));
    if (INPUT_SIGNAL[i] < 0) set(at.u[i], lane, column_at(args.inputs[i], row));
  }
#if TW_SIGNALS
  for (int s = 0; s < TW_SIGNALS; ++s) {
    const SignalTable& table = args.signals[s];
    const real* values = table.values + row * table.row_stride;
    int input = SIGNAL_INPUT[s], last = int(table.knots) - 1;
    const int behind = pointer[s * TW_LANES + lane];
    const int low = interval_of(behind, last);
    set(at.u[input], lane, values[low]);
#if TW_LINEAR
    if (SIGNAL_LINEAR[s]) {
      set_clock(at.since[input], lane, knot_time(table, low, row));
      if (rises(behind, last))
        set(at.du[input], lane,
            (values[low + 1] - values[low]) / stamp_span(table.times[low + 1], table.times[low]));
    }
#endif
  }
#endif
#if TW_CHANGES
  for (int c = 0; c < TW_CHANGES; ++c) {
    if (pointer[(TW_SIGNALS + c) * TW_LANES + lane] != 1) continue;
    real value = column_at(args.changes[c].value, row);
    int action = CHANGE_ACTION[c], target = CHANGE_TARGET[c];
    Real& held = target < TW_P ? at.p[target] : at.u[target - TW_P];
    real before = get(held, lane);
    set(held, lane, action == CHANGE_SET        ? value
                    : action == CHANGE_MULTIPLY ? before * value
                                                : before + value);
    if (target >= TW_P && action != CHANGE_ADD) {
      Real& slope = at.du[target - TW_P];
      set(slope, lane, action == CHANGE_SET ? real(0) : get(slope, lane) * value);
    }
  }
#endif
  stamp nearest = get_clock(end, lane);
#if TW_SOURCES
  for (int s = 0; s < TW_SOURCES; ++s) {
    stamp knot = next_knot(args, s, pointer[s * TW_LANES + lane], row);
    bool earlier = args.direction > 0 ? stamp_before(knot, nearest) : stamp_before(nearest, knot);
    if (earlier) nearest = knot;
  }
#endif
  set_clock(limit, lane, nearest);
}

}  // namespace tw

#endif
