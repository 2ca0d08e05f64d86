/* Where the derivatives by parameters and inputs of one interval of time belong (see reverse.h). */
#ifndef TWINML_REVERSE_FORCING_H
#define TWINML_REVERSE_FORCING_H

namespace tw {

TW_FN bool ahead(const Args& args, stamp a, stamp b) {
  return args.direction > 0 ? stamp_before(a, b) : stamp_before(b, a);
}

TW_FN void add_to(Real& x, int lane, real value) { set(x, lane, get(x, lane) + value); }

#if TW_SOURCES
/* Hand what parameters and inputs have collected to where the interval has them from. */
TW_BIG void settle(const Args& args, Lanes& lanes, Real* sums, int lane) {
  const Reverse& reverse = *args.reverse;
  const count row = lanes.row[lane];
  real ub[TW_SOME(TW_U)] = {}, db[TW_SOME(TW_U)] = {}, pb[TW_SOME(TW_P)] = {};
  for (int k = 0; k < TW_PULL_P; ++k) {
    pb[PULLED_P[k]] = get(lanes.pbar[k], lane);
    set(lanes.pbar[k], lane, real(0));
  }
  for (int k = 0; k < TW_PULL_U; ++k) {
    ub[PULLED_U[k]] = get(lanes.ubar[k], lane);
    db[PULLED_U[k]] = get(lanes.dubar[k], lane);
    set(lanes.ubar[k], lane, real(0));
    set(lanes.dubar[k], lane, real(0));
  }
#if TW_CHANGES
  /* Values before each change, as refresh makes them. */
  real p[TW_SOME(TW_P)], u[TW_SOME(TW_U)], du[TW_SOME(TW_U)];
  real before[TW_CHANGES], slope[TW_CHANGES];
  for (int i = 0; i < TW_P; ++i) p[i] = column_at(args.parameters[i], row);
  for (int i = 0; i < TW_U; ++i) {
    du[i] = real(0);
    if (INPUT_SIGNAL[i] < 0) u[i] = column_at(args.inputs[i], row);
  }
#if TW_SIGNALS
  for (int s = 0; s < TW_SIGNALS; ++s) {
    const SignalTable& table = args.signals[s];
    const real* values = table.values + row * table.row_stride;
    const int last = int(table.knots) - 1, behind = lanes.back.pointer[s * TW_LANES + lane];
    const int low = interval_of(behind, last);
    u[SIGNAL_INPUT[s]] = values[low];
    if (SIGNAL_LINEAR[s] && rises(behind, last))
      du[SIGNAL_INPUT[s]] =
          (values[low + 1] - values[low]) / stamp_span(table.times[low + 1], table.times[low]);
  }
#endif
  for (int c = 0; c < TW_CHANGES; ++c) {
    if (lanes.back.pointer[(TW_SIGNALS + c) * TW_LANES + lane] != 1) continue;
    const real value = column_at(args.changes[c].value, row);
    const int target = CHANGE_TARGET[c], action = CHANGE_ACTION[c];
    real& held = target < TW_P ? p[target] : u[target - TW_P];
    before[c] = held;
    held = action == CHANGE_SET ? value : action == CHANGE_MULTIPLY ? held * value : held + value;
    if (target < TW_P || action == CHANGE_ADD) continue;
    real& rate = du[target - TW_P];
    slope[c] = rate;
    rate = action == CHANGE_SET ? real(0) : rate * value;
  }
  for (int c = TW_CHANGES - 1; c >= 0; --c) {
    if (lanes.back.pointer[(TW_SIGNALS + c) * TW_LANES + lane] != 1) continue;
    const real value = column_at(args.changes[c].value, row);
    const int target = CHANGE_TARGET[c], action = CHANGE_ACTION[c];
    real& bar = target < TW_P ? pb[target] : ub[target - TW_P];
    real gain = action == CHANGE_MULTIPLY ? bar * before[c] : bar;
    bar = action == CHANGE_SET ? real(0) : action == CHANGE_MULTIPLY ? bar * value : bar;
    if (target >= TW_P && action != CHANGE_ADD) {
      real& rate = db[target - TW_P];
      if (action == CHANGE_MULTIPLY) gain += rate * slope[c];
      rate = action == CHANGE_SET ? real(0) : rate * value;
    }
    reverse.changes[c * args.rows + row] += gain;
  }
#endif
  for (int k = 0; k < TW_PULL_P; ++k) reverse.parameters[k * args.rows + row] += pb[PULLED_P[k]];
  for (int k = 0; k < TW_PULL_U; ++k)
    if (INPUT_SIGNAL[PULLED_U[k]] < 0) reverse.inputs[k * args.rows + row] += ub[PULLED_U[k]];
#if TW_SIGNALS
  for (int s = 0; s < TW_SIGNALS; ++s) {
    const SignalTable& table = args.signals[s];
    const int input = SIGNAL_INPUT[s], last = int(table.knots) - 1;
    real* own = reverse.signals[s];
    const count shared = reverse.shared[s];
    if (!own && shared < 0) continue;
    const int behind = lanes.back.pointer[s * TW_LANES + lane], low = interval_of(behind, last);
    const bool sloped = SIGNAL_LINEAR[s] && rises(behind, last);
    real here = ub[input], next = real(0);
    if (sloped) {
      next = db[input] / stamp_span(table.times[low + 1], table.times[low]);
      here -= next;
    }
    if (own) {
      own[row * table.knots + low] += here;
      if (sloped) own[row * table.knots + low + 1] += next;
    } else {
      add_to(sums[shared + low], lane, here);
      if (sloped) add_to(sums[shared + low + 1], lane, next);
    }
  }
#endif
}

/* The interval in which the steps that begin at these times lie. What was collected in the one
 * before is settled where `sums` is given. */
TW_BIG void locate(const Args& args, Lanes& lanes, Within& within, Real* sums, const Clock& t,
                   const Mask& active) {
  const bool forward = args.direction > 0;
  for (int lane = 0; lane < TW_LANES; ++lane) {
    const stamp now = get_clock(t, lane);
    if (!within.lost[lane]) {
      if (!get(active, lane) || (!ahead(args, now, get_clock(within.enter, lane)) &&
                                 ahead(args, now, get_clock(within.limit, lane))))
        continue;
      if (sums) settle(args, lanes, sums, lane);
    }
    within.lost[lane] = false;
    const count row = lanes.row[lane];
    stamp enter = stamp_infinite(-real(args.direction));
    for (int s = 0; s < TW_SOURCES; ++s) {
      const int behind = knots_behind(args, s, row, now, forward);
      within.pointer[s * TW_LANES + lane] = behind;
      const int index = forward ? behind - 1 : behind;
      if (index < 0 || index >= knots_of(args, s)) continue;
      const stamp knot = knot_of(args, s, index, row);
      if (ahead(args, enter, knot)) enter = knot;
    }
    set_clock(within.enter, lane, enter);
    refresh(args, within.at, within.limit, lanes.end, within.pointer, row, lane);
  }
}
#endif

}  // namespace tw

#endif
