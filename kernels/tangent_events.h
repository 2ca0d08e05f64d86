/* Derivatives at events. The time of an event is where its guard is zero, so that it moves by
 * -dg / (dg/dt); the states before it move with it, the reset acts on them, and what follows starts from
 * there: the saltation of Aizerman and Gantmacher (1958), Q. J. Mech. Appl. Math. 11, 464-478, of the
 * dense output, as in twinml/engines/saltation.py.
 *
 * The unit defines guards_tangent (derivatives of all guards) and reset_tangents (of the states after
 * event number e).
 */
#ifndef TWINML_TANGENT_EVENTS_H
#define TWINML_TANGENT_EVENTS_H

namespace tw {

/* A guard grazes zero when its slope is below this share of the steepest between two nodes of the way
 * to its event: the time has no derivative there, which is left at zero and counted. */
#define TW_GRAZE real(1e-6)

TW_FN void guard_tangents(const Context& at, const Clock& time, const Real* y, const Real* st,
                          const Real* sy, Real* out) {
  TW_INPUTS_AT(at, time, u)
#if TW_LINEAR && TW_MOVING_U
  Real su[TW_DIRECTIONS * TW_MOVING_U];
  inputs_moving(at, time, st, su);
#else
  const Real* su = at.mu;
#endif
  guards_tangent(now(time), y, at.p, u, at.c, at.w, nullptr, st, sy, at.mp, su, nullptr, out);
}

/* Steps that end with an event end where it happens. `entire`: the path before it was cut; `way`: up
 * to the event. */
TW_BIG void move_events(const Args& args, const Context& at, const Path& entire, const Path& way,
                        const Found& found, const Mask& hit, Motion& motion) {
  Real y[TW_N], rate[TW_N], value[TW_EVENTS], slope[TW_EVENTS];
  motion_at(entire, found.theta, y, rate);
  {
    TW_INPUTS_AT(at, way.t1, u)
    TW_INPUT_MOTION(at, entire.h, du)
    guards_moving(now(way.t1), y, at.p, u, at.c, at.w, entire.h, rate, du, value, slope);
  }
  Real st[TW_DIRECTIONS], sy[TW_MANY_STATES], moved[TW_DIRECTIONS * TW_EVENTS];
  TW_EACH_DIRECTION(d) {
    st[d] = fma(found.theta, motion.h[d], motion.t[d]);
    const MovingPath& path = motion.path[d];
    TW_EACH_STATE(s) {
      Real level = path.c[TW_TERMS - 1][s];
      for (int j = TW_TERMS - 2; j >= 0; --j) level = fma(level, found.theta, path.c[j][s]);
      sy[d * TW_N + s] = level;
    }
  }
  guard_tangents(at, way.t1, y, st, sy, moved);
  Real node[TW_NODES][TW_EVENTS];
  sample_guards(at, way, node);
  /* Nodes of the way lie theta times as far apart as those of the step. */
  const Real spread = found.theta * Real(real(0.2));
  Real own = Real(real(0)), change[TW_DIRECTIONS];
  Mask grazes = Mask(false);
  TW_EACH_DIRECTION(d) change[d] = own;
  TW_EACH_EVENT(e) {
    const Mask mine = hit & (found.event == Int(integer(e)));
    Real steepest = Real(real(0));
    for (int k = 1; k < TW_NODES; ++k) steepest = max(steepest, abs(node[k][e] - node[k - 1][e]));
    const Mask flat = mine & (abs(slope[e]) * spread <= Real(TW_GRAZE) * steepest);
    grazes = grazes | flat;
    own = select(mine, slope[e], own);
    TW_EACH_DIRECTION(d) change[d] = select(mine, moved[d * TW_EVENTS + e], change[d]);
    if (any(flat)) TW_FETCH_ADD(&args.moving_grazes[e], count_lanes(flat));
  }
  motion.share = select(hit, found.theta, motion.share);
  const Mask clean = hit & !grazes;
  TW_EACH_DIRECTION(d) {
    const Real shift = masked(clean, -(change[d] / select(clean, own, Real(real(1)))));
    motion.t1[d] = select(hit, fma(shift, entire.h, st[d]), motion.t1[d]);
    TW_EACH_STATE(s) {
      Real& end = motion.y1[d * TW_N + s];
      end = select(hit, fma(rate[s], shift, sy[d * TW_N + s]), end);
    }
  }
}

/* Derivatives of the states after event number e, in the rows `mine`, which still are before it. */
TW_FN void move_reset(Pack& pack, int e, const Mask& mine) {
  const Context& at = pack.at;
  Real after[TW_MANY_STATES];
  TW_INPUTS_AT(at, pack.t, u)
#if TW_LINEAR && TW_MOVING_U
  Real su[TW_DIRECTIONS * TW_MOVING_U];
  inputs_moving(at, pack.t, pack.dt, su);
#else
  const Real* su = at.mu;
#endif
  reset_tangents(e, now(pack.t), pack.y, at.p, u, at.c, at.w, nullptr, pack.dt, pack.dy, at.mp, su,
                 nullptr, after);
  for (int i = 0; i < TW_MANY_STATES; ++i) pack.dy[i] = select(mine, after[i], pack.dy[i]);
}

/* The motion of a path without length. */
TW_FN void rest_motion(const Pack& pack, Motion& motion) {
  for (int i = 0; i < TW_MANY_STATES; ++i) motion.y1[i] = pack.dy[i];
  motion.share = Real(real(1));
  TW_EACH_DIRECTION(d) {
    motion.t[d] = motion.t1[d] = pack.dt[d];
    motion.h[d] = Real(real(0));
    for (int j = 0; j < TW_TERMS; ++j)
      TW_EACH_STATE(s) motion.path[d].c[j][s] = j ? Real(real(0)) : pack.dy[d * TW_N + s];
  }
}

}  // namespace tw

#endif
