/* One step of a pack followed backward: samples, interpolant, stages (see reverse.h). */
#ifndef TWINML_REVERSE_STEP_H
#define TWINML_REVERSE_STEP_H

namespace tw {

#if TW_SAVE
TW_FN stamp sample_time(const Args& args, count row, int index) {
  if (index < 0) return stamp_infinite(-real(args.direction));
  return args.save_times[row * args.save_stride + index];
}

/* What the samples of these steps pull: those at the end on the state there, those inside on the
 * coefficients of the interpolant. Says whether there are any inside. */
TW_BIG bool take_seeds(const Args& args, Lanes& lanes, const Mask& due, const Clock& t,
                       const Clock& t1, const Real& h, Real (*cbar)[TW_N]) {
  const real* seeds = args.reverse->seeds;
  bool inside = false;
  for (int lane = 0; lane < TW_LANES; ++lane) {
    if (!get(due, lane)) continue;
    const count row = lanes.row[lane];
    const stamp begin = get_clock(t, lane), end = get_clock(t1, lane);
    stamp when = get_clock(lanes.next_save, lane);
    while (ahead(args, begin, when)) {
      const int index = lanes.saved[lane]--;
      const real* seed = seeds + row * args.save_count + index;
      const count stride = args.rows * args.save_count;
      if (stamp_same(when, end)) {
        for (int s = 0; s < TW_N; ++s) add_to(lanes.ybar[s], lane, seed[s * stride]);
      } else {
        if (!inside)
          for (int j = 0; j < TW_TERMS; ++j) TW_EACH_STATE(s) cbar[j][s] = Real(real(0));
        inside = true;
        const real theta = stamp_span(when, begin) / get(h, lane);
        real power = real(1);
        for (int j = 0; j < TW_TERMS; ++j) {
          for (int s = 0; s < TW_N; ++s) add_to(cbar[j][s], lane, power * seed[s * stride]);
          power = power * theta;
        }
      }
      when = sample_time(args, row, lanes.saved[lane]);
    }
    set_clock(lanes.next_save, lane, when);
  }
  return inside;
}
#endif

#define TW_AT_0 t
#define TW_TAKE(i)                                                                          \
  {                                                                                         \
    TW_EACH_STATE(s) z[i][s] = TW_POINT_##i(s);                                             \
    TW_INPUTS_AT(at, TW_AT_##i, u)                                                          \
    rhs_keep(now(TW_AT_##i), z[i], at.p, u, at.c, at.w, k[i], slots + (i) * TW_SLOT);       \
  }

#if TW_LINEAR
#define TW_COLLECT_SLOPE(i, n, time)            \
  if (TW_IS_LINEAR(PULLED_U[n]))                \
    lanes.dubar[n] = fma(bars[i], span(time, at.since[PULLED_U[n]]), lanes.dubar[n]);
#else
#define TW_COLLECT_SLOPE(i, n, time)
#endif

#define TW_BACK(i)                                                                          \
  {                                                                                         \
    Real bars[TW_BARS], hz[TW_N];                                                           \
    Real* slot = slots + (i) * TW_SLOT;                                                     \
    TW_INPUTS_AT(at, TW_AT_##i, u)                                                          \
    rhs_pull(now(TW_AT_##i), z[i], at.p, u, at.c, at.w, slot, kbar[i], bars, slot + TW_KEPT); \
    if (partial) {                                                                          \
      for (int n = 0; n < TW_BARS; ++n) bars[n] = masked(active, bars[n]);                  \
      for (int n = 0; n < TW_SLOT; ++n) slot[n] = masked(active, slot[n]);                  \
    }                                                                                       \
    TW_EACH_STATE(s) {                                                                      \
      lanes.ybar[s] = lanes.ybar[s] + bars[s];                                              \
      hz[s] = h * bars[s];                                                                  \
      TW_PULL_STAGE_##i(s)                                                                  \
    }                                                                                       \
    (void)hz;                                                                               \
    for (int n = 0; n < TW_PULL_P; ++n) lanes.pbar[n] = lanes.pbar[n] + bars[TW_N + n];     \
    for (int n = 0; n < TW_PULL_U; ++n) {                                                   \
      lanes.ubar[n] = lanes.ubar[n] + bars[TW_N + TW_PULL_P + n];                           \
      TW_COLLECT_SLOPE(TW_N + TW_PULL_P + n, n, TW_AT_##i)                                  \
    }                                                                                       \
  }

/* Have room for the evaluations of one step. */
TW_FN Real* free_slots(const Args& args, Desk& desk) {
  (void)args;
#if TW_SHARES
  if (desk.used + TW_STAGE_COUNT > TW_SLOTS) sum_shares(args, desk);
#else
  desk.used = 0;
#endif
  return desk.slots + desk.used * TW_SLOT;
}

/* Follow a step of every lane; h is signed, and zero where the lane has none. */
TW_BIG void follow_step(const Args& args, Lanes& lanes, Desk& desk, const Clock& t,
                        const Clock& t1, const Real& h, const Real* y, const Mask& active) {
  const Context& at = lanes.back.at;
  const Real zero = Real(real(0));
  /* What stands still must add nothing, also where a slope is infinite. */
  const bool partial = !all(active);
  (void)t1; (void)zero;
  Real* slots = free_slots(args, desk);
  Real k[TW_STAGE_COUNT][TW_N], z[TW_STAGE_COUNT][TW_N], kbar[TW_STAGE_COUNT][TW_N];
  bool inside = false;
#if TW_SAVE
  Real cbar[TW_TERMS][TW_N];
  if (args.reverse->seeds) {
    const Mask due = active & (args.direction > 0 ? before(t, lanes.next_save)
                                                  : before(lanes.next_save, t));
    if (any(due)) inside = take_seeds(args, lanes, due, t, t1, h, cbar);
  }
#endif
  {
    TW_EACH_STATE(s) z[0][s] = y[s];
    TW_INPUTS_AT(at, t, u)
    rhs_keep(now(t), z[0], at.p, u, at.c, at.w, k[0], slots);
  }
  TW_TAKE_STAGES
#if TW_SAVE
  if (inside) { TW_TAKE_INSIDE }
#endif
  TW_EACH_STATE(s) {
    const Real hy = h * lanes.ybar[s];
    TW_PULL_END(s)
  }
#if TW_SAVE
  if (inside) {
    TW_EACH_STATE(s) {
      TW_PULL_INSIDE(s)
      lanes.ybar[s] = lanes.ybar[s] + cbar[0][s];
    }
    TW_BACK_INSIDE
  }
#endif
  TW_BACK_STAGES
  desk.used += inside ? TW_STAGE_COUNT : TW_USED_STAGES;
}

/* The state at the end of a step, as the run had it. */
TW_BIG void take_again(const Args& args, const Context& at, Desk& desk, const Clock& t,
                       const Clock& t1, const Real& h, const Real* y, Real* y1) {
  Real k[TW_STAGE_COUNT][TW_N], z[TW_STAGE_COUNT][TW_N];
  Real* slots = free_slots(args, desk); /* what is kept here is not needed */
  (void)t1;
  {
    TW_EACH_STATE(s) z[0][s] = y[s];
    TW_INPUTS_AT(at, t, u)
    rhs_keep(now(t), z[0], at.p, u, at.c, at.w, k[0], slots);
  }
  TW_TAKE_STAGES
  TW_EACH_STATE(s) y1[s] = TW_ARRIVAL(s);
}

}  // namespace tw

#endif
