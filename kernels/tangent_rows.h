/* Derivatives of the rows of a pack: what moves them, and how they come and go. A direction is one
 * combination of the unknowns; a pass follows TW_DIRECTIONS of them.
 *
 * The unit defines TW_DIRECTIONS, TW_MOVING_P and TW_MOVING_U (parameters and inputs that move along
 * some direction), their tables MOVING_P and MOVING_U, MOVING_PLACE (the number of a parameter or input
 * among them, -1 for what stands still), TW_MOVING_TIME (whether times of changes move), and the
 * function rhs_tangent.
 */
#ifndef TWINML_TANGENT_ROWS_H
#define TWINML_TANGENT_ROWS_H

namespace tw {

/* Written out where that is short. */
#if TW_N <= 4
#define TW_EACH_DIRECTION(d) _Pragma("GCC unroll 4") for (int d = 0; d < TW_DIRECTIONS; ++d)
#else
#define TW_EACH_DIRECTION(d) _Pragma("GCC unroll 1") for (int d = 0; d < TW_DIRECTIONS; ++d)
#endif
#define TW_MANY_STATES (TW_DIRECTIONS * TW_N)

TW_FN void clear_tangents(Pack& pack) {
  const Real zero = Real(real(0));
  for (int i = 0; i < TW_MANY_STATES; ++i) pack.dy[i] = pack.dk1[i] = zero;
  for (int i = 0; i < TW_DIRECTIONS * TW_SOME(TW_MOVING_P); ++i) pack.at.mp[i] = zero;
  for (int i = 0; i < TW_DIRECTIONS * TW_SOME(TW_MOVING_U); ++i) {
    pack.at.mu[i] = zero;
#if TW_LINEAR
    pack.at.mr[i] = zero;
#endif
  }
#if TW_MOVING_TIME
  TW_EACH_DIRECTION(d) pack.dt[d] = pack.dlimit[d] = zero;
#endif
}

TW_FN real seed_at(const Column& seed, count place) {
  return seed.data ? seed.data[place * seed.stride] : real(0);
}

/* A number and its derivative along one direction. */
struct Dual {
  real value, moving;
};

#if TW_CHANGES
/* What the timed changes in force make of a parameter or input, and of its slope. */
TW_FN void change_duals(const Args& args, const int* pointer, count row, int lane, int direction,
                        int target, Dual& level, Dual& slope) {
  for (int c = 0; c < TW_CHANGES; ++c) {
    if (CHANGE_TARGET[c] != target || pointer[(TW_SIGNALS + c) * TW_LANES + lane] != 1) continue;
    const real value = column_at(args.changes[c].value, row);
    const real moving = seed_at(args.moving_changes[direction * TW_CHANGES + c].value, row);
    switch (CHANGE_ACTION[c]) {
      case CHANGE_SET:
        level.value = value;
        level.moving = moving;
        slope.value = slope.moving = real(0);
        break;
      case CHANGE_MULTIPLY:
        level.moving = level.moving * value + level.value * moving;
        level.value = level.value * value;
        slope.moving = slope.moving * value + slope.value * moving;
        slope.value = slope.value * value;
        break;
      default:
        level.value = level.value + value;
        level.moving = level.moving + moving;
    }
  }
}
#else
TW_FN void change_duals(const Args&, const int*, count, int, int, int, Dual&, Dual&) {}
#endif

#if TW_SIGNALS
/* A signal in the interval a lane is in. */
TW_FN void signal_duals(const Args& args, const int* pointer, count row, int lane, int direction, int s,
                        Dual& level, Dual& slope) {
  const SignalTable& table = args.signals[s];
  const Column& seed = args.moving_signals[direction * TW_SIGNALS + s];
  const real* values = table.values + row * table.row_stride;
  const real* moving = seed.data ? seed.data + row * seed.stride : nullptr;
  const int last = int(table.knots) - 1;
  const int behind = pointer[s * TW_LANES + lane], low = interval_of(behind, last);
  level.value = values[low];
  level.moving = moving ? moving[low] : real(0);
  if (SIGNAL_LINEAR[s] && rises(behind, last)) {
    const real width = stamp_span(table.times[low + 1], table.times[low]);
    slope.value = (values[low + 1] - values[low]) / width;
    slope.moving = moving ? (moving[low + 1] - moving[low]) / width : real(0);
  }
}
#endif

/* What `refresh` is to values. */
TW_BIG void refresh_tangents(const Args& args, Pack& pack, int lane) {
  const int* pointer = pack.book.pointer;
  const count row = pack.book.row[lane];
  Context& at = pack.at;
  TW_EACH_DIRECTION(d) {
    for (int k = 0; k < TW_MOVING_P; ++k) {
      Dual slope = {real(0), real(0)};
      Dual level = {column_at(args.parameters[MOVING_P[k]], row),
                    seed_at(args.moving_parameters[d * TW_MOVING_P + k], row)};
      change_duals(args, pointer, row, lane, d, MOVING_P[k], level, slope);
      set(at.mp[d * TW_MOVING_P + k], lane, level.moving);
    }
    for (int k = 0; k < TW_MOVING_U; ++k) {
      const int input = MOVING_U[k];
      Dual level = {real(0), real(0)}, slope = {real(0), real(0)};
      if (INPUT_SIGNAL[input] < 0) {
        level.value = column_at(args.inputs[input], row);
        level.moving = seed_at(args.moving_inputs[d * TW_MOVING_U + k], row);
      }
#if TW_SIGNALS
      if (INPUT_SIGNAL[input] >= 0)
        signal_duals(args, pointer, row, lane, d, INPUT_SIGNAL[input], level, slope);
#endif
      change_duals(args, pointer, row, lane, d, TW_P + input, level, slope);
      set(at.mu[d * TW_MOVING_U + k], lane, level.moving);
#if TW_LINEAR
      set(at.mr[d * TW_MOVING_U + k], lane, slope.moving);
#endif
    }
#if TW_MOVING_TIME
    real moving = real(0);
#if TW_CHANGES
    const stamp limit = get_clock(pack.limit, lane);
    for (int c = 0; c < TW_CHANGES; ++c) {
      const int behind = pointer[(TW_SIGNALS + c) * TW_LANES + lane];
      if (!stamp_same(next_knot(args, TW_SIGNALS + c, behind, row), limit)) continue;
      const ChangeSeed& seed = args.moving_changes[d * TW_CHANGES + c];
      moving = seed_at(behind == 0 ? seed.at : seed.until, row);
    }
#endif
    set(pack.dlimit[d], lane, moving);
#endif
  }
}

/* With the row's number and pointers in the book. */
TW_BIG void load_tangents(const Args& args, Pack& pack, int lane) {
  const count row = pack.book.row[lane];
  for (int i = 0; i < TW_MANY_STATES; ++i) set(pack.dy[i], lane, args.moving_y[i * args.rows + row]);
#if TW_MOVING_TIME
  TW_EACH_DIRECTION(d) set(pack.dt[d], lane, args.moving_t[d * args.rows + row]);
#endif
  refresh_tangents(args, pack, lane);
}

TW_BIG void keep_tangents(const Args& args, const Pack& pack, int lane) {
  const count row = pack.book.row[lane];
  for (int i = 0; i < TW_MANY_STATES; ++i) args.moving_y[i * args.rows + row] = get(pack.dy[i], lane);
#if TW_MOVING_TIME
  TW_EACH_DIRECTION(d) args.moving_t[d * args.rows + row] = get(pack.dt[d], lane);
#endif
}

#if TW_SAVE
TW_FN void store_tangents(const Args& args, const Pack& pack, const Real* dy, int lane, int index) {
  const count row = pack.book.row[lane];
  for (int i = 0; i < TW_MANY_STATES; ++i)
    args.moving_states[(i * args.rows + row) * args.save_count + index] = get(dy[i], lane);
}
#endif

#if TW_LINEAR && TW_MOVING_U
/* Derivatives of inputs at a time that moves by st. */
TW_FN void inputs_moving(const Context& at, const Clock& time, const Real* st, Real* su) {
  (void)st;
  for (int k = 0; k < TW_MOVING_U; ++k) {
    const int input = MOVING_U[k];
    TW_EACH_DIRECTION(d) {
      const int place = d * TW_MOVING_U + k;
      su[place] = at.mu[place];
      if (!TW_IS_LINEAR(input)) continue;
      su[place] = fma(at.mr[place], span(time, at.since[input]), su[place]);
#if TW_MOVING_TIME
      su[place] = fma(at.du[input], st[d], su[place]);
#endif
    }
  }
}
#endif

/* Derivatives of the slope at a time and states that move by st and sy, one direction after the
 * other; st is null where times stand still. */
TW_FN void tangent_at(const Context& at, const Clock& time, const Real* y, const Real* st,
                      const Real* sy, Real* out) {
  TW_INPUTS_AT(at, time, u)
#if TW_LINEAR && TW_MOVING_U
  Real su[TW_DIRECTIONS * TW_MOVING_U];
  inputs_moving(at, time, st, su);
#else
  const Real* su = at.mu;
#endif
  rhs_tangent(now(time), y, at.p, u, at.c, at.w, nullptr, st, sy, at.mp, su, nullptr, out);
}

#if TW_MOVING_TIME
#define TW_TIME_SEEDS(pack) (pack).dt
#else
#define TW_TIME_SEEDS(pack) nullptr
#endif

/* Those of the slopes with which the rows `fresh` begin their next step. */
TW_BIG void slope_tangents(Pack& pack, const Mask& fresh) {
#if TW_FSAL
  Real slope[TW_MANY_STATES];
  tangent_at(pack.at, pack.t, pack.y, TW_TIME_SEEDS(pack), pack.dy, slope);
  for (int i = 0; i < TW_MANY_STATES; ++i) pack.dk1[i] = select(fresh, slope[i], pack.dk1[i]);
#else
  (void)pack; (void)fresh;
#endif
}

}  // namespace tw

#endif
