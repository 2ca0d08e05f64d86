/* The stepping loop of a pack: step, judge, accept, let rows leave.
 * The same rules as twinml/engines/lanes.py, lane by lane under masks. A lane whose row has ended
 * is refilled from the queue at one place.
 *
 * The method gives try_step and fill_path: erk.h, rosenbrock.h or maruyama.h.
 */
#ifndef TWINML_LOOP_H
#define TWINML_LOOP_H

namespace tw {

#define TW_GLANCE 65536 /* steps after which a pack looks whether it is asked to stop */

/* Numbers that stay what they are for the whole launch. */
struct Fixed {
  Real sign, max_step;
};

/* One step of every lane that holds a row; false when some row may have ended with it. Functions that
 * are called, not inlined, are seldom needed and get copies: what nobody knows the address of can stay
 * in registers. */
TW_FN bool step_pack(const Args& args, const Fixed& fixed, Pack& pack) {
  const Real sign = fixed.sign;
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
#if TW_NOISE
  Real noise[TW_N];
  brownian_increments(args, pack, cell, target.t1, noise);
  try_step(pack.at, pack.t, target.t1, signed_h, pack.y, noise, stages, y1);
#else
  try_step(pack.at, pack.t, target.t1, signed_h, pack.y, nullptr, stages, y1);
#endif
#else
#if TW_FSAL
  TW_EACH_STATE(s) stages.k[0][s] = pack.k1[s];
#else
  rhs_at(pack.at, pack.t, pack.y, stages.k[0]);
#endif
  try_step(pack.at, pack.t, target.t1, signed_h, pack.y, stages, y1, error);
#endif

  TW_FORGET
  /* Zero times a finite number is zero: one sum tells whether all are finite. */
  Real probe = zero;
  TW_EACH_STATE(s) probe = fma(y1[s], zero, probe);
#if TW_ADAPTIVE
  Real size[TW_N];
  TW_EACH_STATE(s) size[s] = max(abs(pack.y[s]), abs(y1[s]));
  Real square = scaled_square(error, size, args.settings, probe);
  /* Written so that nan is a rejection. */
  Mask accepted = live & (square <= one);
#else
  Mask accepted = live & (probe == zero);
#endif
#if TW_STIFF_METHOD
  accepted = accepted & usable;
#endif

#if TW_HANDOVER
  /* Of the whole step, also where an event cuts it. */
  const Mask tense = looks_stiff(stages, y1, target.h);
#endif
  Clock t1 = target.t1;
#if TW_DENSE
  Path path;
  Mask jumps = Mask(false);
#if TW_EVENTS || TW_PROFILED || TW_INTEGRALS
  bool dense = any(accepted);
#elif TW_FUNCTIONALS
  bool dense = any(accepted & totals_due(args, pack, t1));
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
#if TW_DIRECTIONS
  Path entire;
#endif
  Found found;
  found.lost = Mask(false);
  if (dense) {
    look_for_events(pack, path, accepted, found);
    accepted = accepted & !found.lost;
    found.event = select(accepted, found.event, Int(integer(-1)));
    Mask hit = accepted & (found.event >= Int(integer(0)));
    bool whole = any(hit);
#if TW_SAVE
    whole = whole || any(accepted & save_due(args, pack, t1, jumps));
#endif
    if (whole) {
      const Pack there = pack;
      const Stages kept = stages;
      Path part = path;
      complete_path(there.y, kept, part);
#if TW_DIRECTIONS
      entire = part;
#endif
      Clock inner = advance(part.t, found.theta * part.h);
      Mask beyond = args.direction > 0 ? before(part.t1, inner) : before(inner, part.t1);
      cut_path(part, hit, found.theta, pick(beyond, part.t1, inner));
      path = part;
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

  const Mask rejected = live ^ accepted;
  bool onward = true; /* no row has ended, as far as this tells */
#if TW_ADAPTIVE
  Real level = error_level(square);
  Real bound = select(accepted, select(pack.steady, Real(TW_GROW), one), Real(TW_SAFETY));
  Real factor = step_factor(accepted, level, pack.previous, bound);
  if (any(rejected)) {
    TW_EACH_STATE(s) probe = fma(error[s], zero, probe);
    Mask finite = probe == zero;
#if TW_STIFF_METHOD
    finite = finite & usable;
    pack.singular = select(rejected, singular, pack.singular);
#endif
#if TW_EVENTS
    finite = finite & !found.lost;
#endif
    Mask measured = finite & isfinite(square);
    factor = select(rejected & !measured, Real(TW_RETRY_SHRINK), factor);
    const Int none_yet = Int(integer(0)), another = Int(integer(1));
    pack.rejected = select(rejected, pack.rejected + another, pack.rejected);
    pack.retries = select(pack.steady, none_yet, pack.retries);
    pack.retries = select(rejected & !finite, pack.retries + another, pack.retries);
    pack.broken = select(rejected, !finite, pack.broken);
    onward = none(pack.retries > Int(integer(TW_MAX_RETRIES)));
  }
  Real proposal = target.h * factor;
  /* A step cut short at a boundary says nothing against the longer one. */
  Real longer = min(max(masked(target.clipped, pack.h), proposal), fixed.max_step);
  pack.h = select(accepted, longer, proposal);
  pack.previous = select(accepted, level, pack.previous);
#if TW_HANDOVER
  if (any(tense | (pack.patience > Int(integer(0))))) {
    Int calm = max(pack.patience - Int(integer(1)), Int(integer(0)));
    calm = select(tense, pack.patience + Int(integer(1)), calm);
    pack.patience = select(accepted, calm, pack.patience);
    onward = onward & none(pack.patience >= Int(integer(TW_STIFF_PATIENCE)));
  }
#endif
#else
  if (any(rejected)) onward = false;
#endif
  pack.steady = accepted;

#if TW_DIRECTIONS
  Motion motion;
  move_step(pack, target, signed_h, stages, TW_IS_DENSE, motion);
#if TW_EVENTS
  motion.share = one;
  const Mask eventful = accepted & (found.event >= Int(integer(0)));
  if (any(eventful)) move_events(args, pack.at, entire, path, found, eventful, motion);
#endif
#endif
#if TW_DENSE && !TW_EVENTS
  if (dense) {
#if TW_SAVE
    take_samples(args, pack, path, accepted, jumps TW_MOTION);
#endif
#if TW_FUNCTIONALS
    add_totals(args, pack, path, accepted, jumps);
#endif
  }
#endif

#if TW_DIRECTIONS
  take_tangents(pack, motion, accepted);
#endif
#if TW_TAPE
  if (any(accepted)) tape_steps(args, pack, target.h, accepted);
#endif
#if TW_RECORD
  if (any(accepted)) record_steps(args, pack, target.t1, target.h, target.clipped, accepted);
#endif
  pack.t = pick(accepted, t1, pack.t);
  TW_EACH_STATE(s) pack.y[s] = select(accepted, y1[s], pack.y[s]);
#if TW_FSAL
  TW_EACH_STATE(s) pack.k1[s] = select(accepted, stages.k[TW_STAGES - 1][s], pack.k1[s]);
#endif
#if TW_SOURCES || TW_EVENTS
  /* Slopes to be taken anew, after a jump of the inputs or the states. */
  Mask fresh_slope = Mask(false);
#if TW_SOURCES
  Mask arrived_at = accepted & target.clipped & same_time(t1, target.t1);
  const bool crossing = any(arrived_at);
#if TW_EVENTS
  /* The interval in which the step lay: what its samples and quantities see. */
  Context within;
  if (crossing) within = pack.at;
#endif
  if (crossing) {
    Pack there = pack;
    fresh_slope = cross(args, there, arrived_at);
    pack = there;
  }
#endif
#if TW_EVENTS
  if (any(accepted)) {
    /* Settles the events of this instant (states, sides, status), then shows the step. */
    Mask happened = settle_events(args, pack, found, accepted, fresh_slope);
    fresh_slope = fresh_slope | happened;
    pack.previous = select(happened, zero, pack.previous);
    jumps = happened | (found.event >= Int(integer(0)));
#if TW_SOURCES
    Context following;
    if (crossing) {
      following = pack.at;
      pack.at = within;
    }
#endif
#if TW_SAVE
    take_samples(args, pack, path, accepted, jumps TW_MOTION);
#endif
#if TW_FUNCTIONALS
    add_totals(args, pack, path, accepted, jumps);
#endif
#if TW_SOURCES
    if (crossing) pack.at = following;
#endif
    show_endings(args, pack, accepted, happened);
  }
  onward = onward & none(live & has_status(pack.watch, -1));
#endif
  if (any(fresh_slope)) {
    Real slope[TW_N];
    rhs_at(pack.at, pack.t, pack.y, slope);
    TW_EACH_STATE(s) pack.k1[s] = select(fresh_slope, slope[s], pack.k1[s]);
#if TW_DIRECTIONS
    slope_tangents(pack, fresh_slope);
#endif
  }
#endif

  Mask ended = same_time(pack.t, pack.end);
#if TW_ADAPTIVE
  ended = ended | (pack.h < pack.floor);
#endif
  return onward & none(live & ended);
}

/* Rows that arrived, failed or turned stiff leave, each for the first reason that holds; false
 * when none did. */
TW_BIG bool leave(const Args& args, Pack& pack, const Fixed& fixed) {
  const Mask live = pack.live;
  Mask arrived = live & same_time(pack.t, pack.end);
#if TW_EVENTS
  arrived = arrived | (live & watch_stopped(pack));
#endif
  const Mask staying = live & !arrived;
#if TW_ADAPTIVE
  /* A row whose step no longer moves its time gets nowhere, accepted or not. What broke in the
   * trial before was not finite, and is tried again. */
  Mask tiny = staying & (pack.h < pack.floor) & (pack.steady | !pack.broken);
  if (any(tiny))
    tiny = tiny & (pack.h < Real(real(4)) * resolution(pack.t, pack.end, pack.first));
  const Mask lost = staying & !pack.steady & (pack.retries > Int(integer(TW_MAX_RETRIES)));
#else
  const Mask lost = staying & !pack.steady;
#endif
  Mask spent = Mask(false);
  if (pack.book.tick >= pack.book.deadline) {
    pack.book.deadline = pack.book.tick + (args.max_steps < TW_GLANCE ? args.max_steps : TW_GLANCE);
    for (int lane = 0; lane < TW_LANES; ++lane) {
      if (!get(staying, lane)) continue;
      const count spends = pack.book.began[lane] + args.max_steps;
      if (pack.book.tick >= spends)
        set(spent, lane, true);
      else if (spends < pack.book.deadline)
        pack.book.deadline = spends;
    }
  }
#if TW_HANDOVER
  const Mask stiff = staying & (pack.patience >= Int(integer(TW_STIFF_PATIENCE)));
#else
  const Mask stiff = Mask(false);
#endif
  leave_lanes(args, pack, arrived, TWINML_OK);
#if TW_ADAPTIVE
  if (any(tiny | lost)) {
#if TW_STIFF_METHOD
    const Mask singular = pack.singular, walled = pack.broken & !singular;
#else
    const Mask singular = Mask(false), walled = pack.broken;
#endif
    leave_lanes(args, pack, tiny & !walled, TWINML_STEP_TOO_SMALL);
    leave_lanes(args, pack, pack.live & lost & singular, TWINML_SOLVER_FAILED);
    leave_lanes(args, pack, pack.live & (tiny | lost), TWINML_NOT_FINITE);
  }
#else
  leave_lanes(args, pack, lost, TWINML_NOT_FINITE);
#endif
  if (any(spent)) leave_lanes(args, pack, pack.live & spent, TWINML_MAX_STEPS);
  if (any(stiff)) leave_lanes(args, pack, pack.live & stiff, TW_STIFF);
  return any(live ^ pack.live);
}

#ifdef __CUDACC__
}  // namespace tw
#include "loop_cuda.h"
#else
/* Work off the queue; several threads may do so at once. TW_TURNS packs take one step each in turn:
 * they do not depend on one another, so while one waits for the size of its next step the processor
 * is at work on the other. */
TW_BIG void work(const Args& args) {
  Pack packs[TW_TURNS];
  Stage stage;
  Fixed fixed;
  fixed.sign = Real(real(args.direction));
  fixed.max_step = Real(now(clock_of(args.clocks[CLOCK_MAX_STEP])));
  clear(stage.pack);
  stage.pack.at.w = args.weights;
  stage.next = TW_LANES;
  count useful = 0, all_steps = 0;
  int busy = 0;
  for (int turn = 0; turn < TW_TURNS; ++turn) {
    clear(packs[turn]);
    packs[turn].at.w = args.weights;
    busy += fill(args, packs[turn], stage);
  }
  while (busy) {
    TW_ONE_BY_ONE
    for (int turn = 0; turn < TW_TURNS; ++turn) {
      Pack& pack = packs[turn];
      Book& book = pack.book;
      if (!book.held) continue;
      if (step_pack(args, fixed, pack) & (++book.tick < book.deadline)) continue;
      if (*args.cancel) return;
      const int held = book.held;
      if (!leave(args, pack, fixed)) continue;
      useful += held * (book.tick - book.filled);
      all_steps += book.tick - book.filled;
      if (!fill(args, pack, stage)) --busy;
    }
  }
  TW_FETCH_ADD(&args.lane_steps[0], useful);
  TW_FETCH_ADD(&args.lane_steps[1], all_steps * TW_LANES);
}

}  // namespace tw
#endif

#endif
