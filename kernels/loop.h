/* The stepping loop of a pack: take rows from the queue, step, judge, accept, let rows leave.
 * The same rules as twinml/engines/lanes.py, lane by lane under masks. A lane whose row has ended
 * is refilled from the queue at one place.
 *
 * The method gives try_step and fill_path: erk.h, rosenbrock.h or maruyama.h.
 */
#ifndef TWINML_LOOP_H
#define TWINML_LOOP_H

namespace tw {

/* The next row of the queue, -1 when it is empty. */
TW_FN count take_row(const Args& args) {
  if (*args.cancel) return -1;
  count entry = TW_FETCH_ADD(args.next, 1);
  if (entry >= args.entries) return -1;
  return args.order ? args.order[entry] : entry;
}

TW_BIG void leave_lanes(const Args& args, Pack& pack, const Mask& leaving, int bits) {
  for (int lane = 0; lane < TW_LANES; ++lane)
    if (get(leaving, lane)) store_row(args, pack, lane, bits | pack.status[lane]);
}

/* Give every lane without a row the next one; false when no lane holds any. */
TW_BIG bool fill(const Args& args, Pack& pack) {
  const real sign = real(args.direction);
  for (;;) {
    Mask fresh = Mask(false);
    bool empty = false;
    for (int lane = 0; lane < TW_LANES && !empty; ++lane) {
      if (get(pack.live, lane)) continue;
      count row = take_row(args);
      empty = row < 0;
      if (empty) break;
      load_row(args, pack, lane, row);
      set(pack.live, lane, true);
      set(fresh, lane, true);
    }
    if (none(fresh)) return any(pack.live);
    /* A span of zero length still has values and quantities at its one time. */
    Mask still = fresh & same_time(pack.t, pack.end);
#if TW_FUNCTIONALS
    if (any(still)) rest_totals(args, pack, still, Mask(false));
#endif
    Real slope[TW_N];
    rhs_at(pack.at, pack.t, pack.y, slope);
    Mask lost = Mask(false);
    TW_EACH_STATE(s) {
      pack.k1[s] = select(fresh, slope[s], pack.k1[s]);
      lost = lost | !isfinite(slope[s]) | !isfinite(pack.y[s]);
    }
#if TW_EVENTS
    lost = lost | watch_unready(pack);
#endif
    lost = lost & fresh & !still;
    if (any(still)) leave_lanes(args, pack, still, TWINML_OK);
    if (any(lost)) leave_lanes(args, pack, lost, TWINML_NOT_FINITE);
    fresh = fresh & !still & !lost;
#if TW_EVENTS
    Mask stopped = begin_watch(args, pack, fresh);
    if (any(stopped)) leave_lanes(args, pack, stopped, TWINML_OK);
    fresh = fresh & !stopped;
#endif
#if TW_ADAPTIVE
    pack.floor = select(fresh, coarse_resolution(pack.end, pack.first), pack.floor);
    Mask unknown = fresh & !(pack.h > Real(real(0)));
    if (any(unknown)) {
      Real h = first_step(pack.at, pack.t, pack.end, pack.first, pack.y, pack.k1, args.settings,
                          sign, Real(now(clock_of(args.clocks[CLOCK_MAX_STEP]))));
      pack.h = select(unknown, h, pack.h);
    }
#else
    (void)sign;
#endif
    if (all(pack.live) || empty) {
      if (any(pack.live)) return true;
      if (empty) return false;
    }
  }
}

struct Target {
  Clock t1;
  Real h;       /* without sign */
  Mask clipped; /* the arrival is a boundary */
};

#if TW_ADAPTIVE
TW_FN Target next_target(const Args&, Pack& pack, const Real& sign) {
  Target target;
  Real rest = sign * span(pack.limit, pack.t);
  target.clipped = pack.h * Real(real(1) + TW_CLIP_SHARE) >= rest;
  target.t1 = pick(target.clipped, pack.limit, advance(pack.t, sign * pack.h));
  target.h = select(target.clipped, rest, pack.h);
  return target;
}
#else
TW_FN Target next_target(const Args& args, Pack& pack, const Real& sign) {
  Target target;
  const Clock dt = clock_of(stamp_scaled(args.clocks[CLOCK_DT], real(args.direction)));
  Clock there = tick(pack.origin, dt, pack.grid + Int(integer(1)));
  /* A grid time that differs from a boundary by rounding only is that boundary. */
  Real slack = Real(TW_TICK_SHARE) * abs(now(dt));
  Real early = sign * span(pack.limit, there);
  target.clipped = early <= slack;
  pack.grid = select(early >= -slack, pack.grid + Int(integer(1)), pack.grid);
  target.t1 = pick(target.clipped, pack.limit, there);
  target.h = sign * span(target.t1, pack.t);
  return target;
}
#endif

#if TW_RECORD
/* What a derivative along the steps taken needs: where each began, its size and its arrival. */
TW_BIG void record_steps(const Args& args, const Pack& pack, const Clock& t1, const Real& h,
                         const Mask& clipped, const Mask& accepted) {
  for (int lane = 0; lane < TW_LANES; ++lane) {
    if (!get(accepted, lane)) continue;
    const count place = args.record_place[pack.row[lane]]++;
    if (args.record_total == 0) continue; /* the first run only counts */
    args.record_t[place] = get_clock(pack.t, lane);
    args.record_t1[place] = get_clock(t1, lane);
    args.record_h[place] = get(h, lane);
    args.record_clipped[place] = get(clipped, lane);
    for (int s = 0; s < TW_N; ++s)
      args.record_y[s * args.record_total + place] = get(pack.y[s], lane);
  }
}
#endif

/* One step of every lane that holds a row. */
TW_FN Mask step_pack(const Args& args, Pack& pack) {
  const Real sign = Real(real(args.direction));
  const Mask live = pack.live;
  const Real zero = Real(real(0)), one = Real(real(1));
  (void)one;
#if !TW_ADAPTIVE
  const Int cell = pack.grid;
#endif
  Target target = next_target(args, pack, sign);
  const Real signed_h = sign * target.h;
  Real y1[TW_N], error[TW_N];
  Stages stages;
#if TW_STIFF_METHOD
  Mask singular;
  Mask usable = try_step(pack.at, pack.t, target.t1, signed_h, pack.y, pack.k1, stages, y1, error,
                         singular);
#elif TW_STOCHASTIC
  Mask usable = Mask(true);
#if TW_NOISE
  Real noise[TW_N];
  brownian_increments(args, pack, cell, target.t1, noise);
  try_step(pack.at, pack.t, target.t1, signed_h, pack.y, noise, stages, y1);
#else
  try_step(pack.at, pack.t, target.t1, signed_h, pack.y, nullptr, stages, y1);
#endif
#else
  Mask usable = Mask(true);
#if TW_FSAL
  TW_EACH_STATE(s) stages.k[0][s] = pack.k1[s];
#else
  rhs_at(pack.at, pack.t, pack.y, stages.k[0]);
#endif
  try_step(pack.at, pack.t, target.t1, signed_h, pack.y, stages, y1, error);
#endif
  pack.steps = select(live, pack.steps + Int(integer(1)), pack.steps);

  /* Zero times a finite number is zero: one sum tells whether all are finite. */
  Real probe = zero;
  TW_EACH_STATE(s) probe = fma(y1[s], zero, probe);
  Mask finite = usable & (probe == zero);
#if TW_ADAPTIVE
  Real size[TW_N];
  TW_EACH_STATE(s) size[s] = max(abs(pack.y[s]), abs(y1[s]));
  Real square = scaled_square(error, size, args.settings);
  /* Written so that nan is a rejection. */
  Mask accepted = live & finite & (square <= one);
#else
  Mask accepted = live & finite;
#endif

  Clock t1 = target.t1;
#if TW_DENSE
  Path path;
  Mask jumps = Mask(false);
#if TW_EVENTS || TW_FUNCTIONALS
  bool dense = any(accepted);
#else
  bool dense = any(accepted & save_due(args, pack, t1, jumps));
#endif
  if (dense) {
    path.t = pack.t;
    path.t1 = t1;
    path.h = signed_h;
    TW_EACH_STATE(s) path.y1[s] = y1[s];
    fill_path(pack.at, pack.y, stages, path);
  }
#if TW_EVENTS
  Found found;
  if (dense) {
    look_for_events(pack, path, accepted, found);
    accepted = accepted & !found.lost;
    finite = finite & !found.lost;
    found.event = select(accepted, found.event, Int(integer(-1)));
    Mask hit = accepted & (found.event >= Int(integer(0)));
    if (any(hit)) {
      Clock inner = advance(path.t, found.theta * path.h);
      Mask beyond = args.direction > 0 ? before(path.t1, inner) : before(inner, path.t1);
      cut_path(path, hit, found.theta, pick(beyond, path.t1, inner));
      t1 = pick(hit, path.t1, t1);
      TW_EACH_STATE(s) y1[s] = select(hit, path.y1[s], y1[s]);
    }
  } else {
    find_none(found);
  }
#if !TW_ADAPTIVE
  /* Where an event cut the step, the grid of fixed steps was not reached. */
  pack.grid = select(accepted & !same_time(t1, target.t1), cell, pack.grid);
#endif
#endif
#endif

#if TW_ADAPTIVE
  Mask rejected = live & !accepted;
  Real level = error_level(square);
  Real bound = select(accepted, select(pack.wary, one, Real(TW_GROW)), Real(TW_SAFETY));
  Real factor = step_factor(accepted, level, pack.previous, bound);
  if (any(rejected)) {
    TW_EACH_STATE(s) probe = fma(error[s], zero, probe);
    finite = finite & (probe == zero);
    Mask measured = finite & isfinite(square);
    factor = select(accepted | measured, factor, Real(TW_RETRY_SHRINK));
    pack.rejected = select(rejected, pack.rejected + Int(integer(1)), pack.rejected);
    pack.retries = select(rejected & !finite, pack.retries + Int(integer(1)), pack.retries);
#if TW_STIFF_METHOD
    pack.walled = select(rejected, !finite & !singular, pack.walled);
#else
    pack.walled = select(rejected, !finite, pack.walled);
#endif
  }
  Real proposal = target.h * factor;
  /* A step cut short at a boundary says nothing against the longer one. */
  Real onward = select(target.clipped, max(pack.h, proposal), proposal);
  onward = min(onward, Real(now(clock_of(args.clocks[CLOCK_MAX_STEP]))));
  pack.h = select(accepted, onward, select(rejected, proposal, pack.h));
  pack.previous = select(accepted, level, pack.previous);
  pack.wary = (pack.wary | rejected) & !accepted;
  pack.retries = select(accepted, Int(integer(0)), pack.retries);
#if TW_HANDOVER
  Mask tense = looks_stiff(stages, y1, target.h);
  Int calm = pack.patience - Int(integer(1));
  calm = select(calm < Int(integer(0)), Int(integer(0)), calm);
  pack.patience = select(accepted, select(tense, pack.patience + Int(integer(1)), calm),
                         pack.patience);
#endif
#endif

#if TW_DENSE && !TW_EVENTS
  if (dense) {
#if TW_SAVE
    save_samples(args, pack, path, accepted, jumps);
#endif
#if TW_FUNCTIONALS
    add_totals(args, pack, path, accepted, jumps);
#endif
  }
#endif

#if TW_RECORD
  if (any(accepted)) record_steps(args, pack, target.t1, target.h, target.clipped, accepted);
#endif
  pack.t = pick(accepted, t1, pack.t);
  TW_EACH_STATE(s) pack.y[s] = select(accepted, y1[s], pack.y[s]);
#if TW_FSAL
  TW_EACH_STATE(s) pack.k1[s] = select(accepted, stages.k[TW_STAGES - 1][s], pack.k1[s]);
#endif
  /* Slopes to be taken anew, after a jump of the inputs or the states. */
  Mask fresh_slope = Mask(false);
#if TW_EVENTS
  /* The interval in which the step lay: what its samples and quantities see. */
  const Context before_jump = pack.at;
#endif
#if TW_SOURCES
  Mask arrived_at = accepted & target.clipped & same_time(t1, target.t1);
  if (any(arrived_at)) fresh_slope = cross(args, pack, arrived_at);
#endif
#if TW_EVENTS
  if (any(accepted)) {
    /* Settles the events of this instant (states, sides, status), then shows the step. */
    Mask happened = settle_events(args, pack, found, accepted, fresh_slope);
    fresh_slope = fresh_slope | happened;
    pack.previous = select(happened, zero, pack.previous);
    jumps = happened | (found.event >= Int(integer(0)));
    Context after_jump = pack.at;
    pack.at = before_jump;
#if TW_SAVE
    save_samples(args, pack, path, accepted, jumps);
#endif
#if TW_FUNCTIONALS
    add_totals(args, pack, path, accepted, jumps);
#endif
    pack.at = after_jump;
    show_endings(args, pack, accepted, happened);
  }
#endif
  if (any(fresh_slope)) {
    Real slope[TW_N];
    rhs_at(pack.at, pack.t, pack.y, slope);
    TW_EACH_STATE(s) pack.k1[s] = select(fresh_slope, slope[s], pack.k1[s]);
  }

  /* Rows that arrived, failed or turned stiff leave. */
  Mask arrived = live & same_time(pack.t, pack.end);
  Mask leaving = arrived;
#if TW_EVENTS
  leaving = leaving | (live & watch_stopped(pack));
#endif
  if (any(leaving)) leave_lanes(args, pack, leaving, TWINML_OK);
  Mask staying = live & !leaving;
#if TW_ADAPTIVE
  /* A row whose step no longer moves its time gets nowhere, accepted or not. */
  Mask tiny = staying & (pack.h < Real(real(4)) * pack.floor);
  if (any(tiny))
    tiny = tiny & finite & (pack.h < Real(real(4)) * resolution(pack.t, pack.end, pack.first));
  Mask lost = staying & !accepted & (pack.retries > Int(integer(TW_MAX_RETRIES)));
#else
  Mask tiny = Mask(false);
  Mask lost = staying & !accepted;
#endif
  Mask spent = staying & (pack.steps >= Int(integer(args.max_steps)));
#if TW_HANDOVER
  Mask stiff = staying & (pack.patience >= Int(integer(TW_STIFF_PATIENCE)));
#else
  Mask stiff = Mask(false);
#endif
  if (any(tiny | lost | spent | stiff)) {
    Mask small = tiny & !pack.walled;
    leave_lanes(args, pack, small, TWINML_STEP_TOO_SMALL);
    staying = staying & !small;
#if TW_STIFF_METHOD && TW_ADAPTIVE
    Mask broken = staying & lost & singular;
    leave_lanes(args, pack, broken, TWINML_SOLVER_FAILED);
    staying = staying & !broken;
#endif
    Mask wall = staying & (tiny | lost);
    leave_lanes(args, pack, wall, TWINML_NOT_FINITE);
    staying = staying & !wall;
    leave_lanes(args, pack, staying & spent, TWINML_MAX_STEPS);
    staying = staying & !spent;
    leave_lanes(args, pack, staying & stiff, TW_STIFF);
  }
  return live;
}

TW_FN int count_lanes(const Mask& mask) {
  if (all(mask)) return TW_LANES;
  int found = 0;
  for (int lane = 0; lane < TW_LANES; ++lane) found += get(mask, lane);
  return found;
}

/* Work off the queue; several threads may do so at once. */
TW_BIG void work(const Args& args) {
  Pack pack;
  clear(pack);
  pack.at.w = args.weights;
  count useful = 0, all_lanes = 0, until_cancel = 4096;
  while (fill(args, pack)) {
    do {
      Mask live = step_pack(args, pack);
      useful += count_lanes(live);
      all_lanes += TW_LANES;
      if (--until_cancel == 0) {
        until_cancel = 4096;
        if (*args.cancel) return;
      }
    } while (all(pack.live) || (any(pack.live) && *args.next >= args.entries));
  }
  TW_FETCH_ADD(&args.lane_steps[0], useful);
  TW_FETCH_ADD(&args.lane_steps[1], all_lanes);
}

}  // namespace tw

#endif
