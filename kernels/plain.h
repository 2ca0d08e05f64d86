/* Fixed steps that all rows take alike: shared times, no knots, changes, events, quantities or
 * noise. Packs are handed out as they stand, a block at a time, and take one step each in turn: they
 * do not depend on one another, so the processor is at work on several. Time, step size and save
 * points are scalars. A row
 * that turns nan is found at the end of a stretch, which is then taken again step by step: once a
 * state is not finite it stays so.
 */
#ifndef TWINML_PLAIN_H
#define TWINML_PLAIN_H

#include "plain_step.h"

namespace tw {

#define TW_STRETCH 64
#ifndef TW_ABREAST
#define TW_ABREAST (TW_LANES > 1 ? 4 : 1)
#endif

/* Rows of a thread stay in registers where all that works on them is one function. */
#ifdef __CUDACC__
#define TW_PART TW_FN
#else
#define TW_PART TW_BIG
#endif

struct Batch {
  count row[TW_LANES];
  Mask live;
  Real y[TW_N];
#if TW_FSAL
  Real k1[TW_N];
#endif
  Context at;
};

TW_FN void take_step(Batch& batch, const Step& step, Stages& stages, Real* y1) {
  const Clock t = clock_of(step.t), t1 = clock_of(step.t1);
  const Real h = Real(step.h);
#if TW_STIFF_METHOD
  Mask singular;
  Real error[TW_N];
  Mask usable = try_step(batch.at, t, t1, h, batch.y, batch.y, stages, y1, error, singular);
  TW_EACH_STATE(s) y1[s] = select(usable, y1[s], Real(TW_NAN));
#elif TW_STOCHASTIC
  try_step(batch.at, t, t1, h, batch.y, nullptr, stages, y1);
#else
#if TW_FSAL
  TW_EACH_STATE(s) stages.k[0][s] = batch.k1[s];
#else
  rhs_at(batch.at, t, batch.y, stages.k[0]);
#endif
  Real* error = nullptr;
  try_step(batch.at, t, t1, h, batch.y, stages, y1, error);
#endif
}

TW_FN void move_on(Batch& batch, const Stages& stages, const Real* y1) {
  (void)stages;
  TW_EACH_STATE(s) batch.y[s] = y1[s];
#if TW_FSAL
  TW_EACH_STATE(s) batch.k1[s] = stages.k[TW_STAGES - 1][s];
#endif
}

TW_FN Mask states_finite(const Real* y) {
  Real probe = Real(real(0));
  TW_EACH_STATE(s) probe = fma(y[s], Real(real(0)), probe);
  return probe == Real(real(0));
}

TW_PART void store_lane(const Args& args, Batch& batch, int lane, stamp t, count steps, int bits,
                       int saved) {
  const count row = batch.row[lane];
  args.t[row] = t;
  args.h[row] = now_of(args.clocks[CLOCK_DT]);
  for (int s = 0; s < TW_N; ++s) args.y[s * args.rows + row] = get(batch.y[s], lane);
  args.steps[row] = steps;
  args.grid[row] = bits & TWINML_FAILURE ? steps - 1 : steps;
  args.status[row] = bits;
  if (bits & TWINML_FAILURE) args.fail_time[row] = t;
#if TW_SAVE
  for (int k = saved; k < args.save_count; ++k)
    for (int s = 0; s < TW_N; ++s)
      args.states[(s * args.rows + row) * args.save_count + k] = TW_NAN;
#else
  (void)saved;
#endif
  set(batch.live, lane, false);
}

TW_PART void store_lanes(const Args& args, Batch& batch, const Mask& which, stamp t, count steps,
                        int bits, int saved) {
  for (int lane = 0; lane < TW_LANES; ++lane)
    if (get(which, lane)) store_lane(args, batch, lane, t, steps, bits, saved);
}

/* A stretch once more, one step at a time, after some row turned nan in it. */
TW_PART void retrace(const Args& args, Batch& batch, stamp origin, stamp dt, stamp end, count begin,
                    count stop, count last, int saved) {
  for (count i = begin; i < stop && any(batch.live); ++i) {
    Stages stages;
    Real y1[TW_N];
    const Step step = step_at(origin, dt, end, i, last);
    take_step(batch, step, stages, y1);
    Mask lost = batch.live & !states_finite(y1);
    if (any(lost)) store_lanes(args, batch, lost, step.t, i + 1, TWINML_NOT_FINITE, saved);
    move_on(batch, stages, y1);
  }
}

#if TW_SAVE
TW_PART void sample(const Args& args, const Batch& batch, const Real* y, int index) {
  for (int lane = 0; lane < TW_LANES; ++lane) {
    if (!get(batch.live, lane)) continue;
    for (int s = 0; s < TW_N; ++s)
      args.states[(s * args.rows + batch.row[lane]) * args.save_count + index] = get(y[s], lane);
  }
}
#endif

/* A difference of times in steps, rounded down, or the most that matters: a row spends its budget
 * before, and a larger number might not fit a whole one. */
TW_FN count steps_between(const Args& args, stamp from, stamp to, real width) {
  const real steps = stamp_span(to, from) / width;
  const count most = args.max_steps + 4;
  return steps < real(most) ? count(steps) : most;
}

/* Before the first step: rows whose slope is not finite leave. */
TW_PART void begin_batch(const Args& args, Batch& batch, stamp origin, int saved) {
  Real slope[TW_N];
  rhs_at(batch.at, clock_of(origin), batch.y, slope);
  Mask lost = batch.live & !(states_finite(slope) & states_finite(batch.y));
  if (any(lost)) store_lanes(args, batch, lost, origin, 0, TWINML_NOT_FINITE, saved);
#if TW_FSAL
  TW_EACH_STATE(s) batch.k1[s] = slope[s];
#endif
}

#if TW_SAVE
/* One step, with the save points from number `saved` on that lie in it; where these end. */
TW_PART int sampled_step(const Args& args, Batch& batch, const Step& step, count i, int saved) {
  const bool forward = args.direction > 0;
  Stages stages;
  Real y1[TW_N];
  take_step(batch, step, stages, y1);
  Mask lost = batch.live & !states_finite(y1);
  if (any(lost)) store_lanes(args, batch, lost, step.t, i + 1, TWINML_NOT_FINITE, saved);
  Path path;
  bool ready = false;
  while (saved < args.save_count) {
    const stamp when = args.save_times[saved];
    if (stamp_same(when, step.t1)) {
      sample(args, batch, y1, saved++);
      continue;
    }
    if (forward ? stamp_before(step.t1, when) : stamp_before(when, step.t1)) break;
    if (!ready) {
      path.t = clock_of(step.t);
      path.t1 = clock_of(step.t1);
      path.h = Real(step.h);
      TW_EACH_STATE(s) path.y1[s] = y1[s];
      fill_path(batch.at, batch.y, stages, path);
      ready = true;
    }
    Real y[TW_N];
    states_at(path, Real(stamp_span(when, step.t) / step.h), y);
    sample(args, batch, y, saved++);
  }
  move_on(batch, stages, y1);
  return saved;
}
#endif

/* A block of packs from the start to the end. */
TW_PART void run_block(const Args& args, Batch* block, int packs) {
  const stamp origin = args.origin[block[0].row[0]];
  const stamp end = column_at(args.last, block[0].row[0]);
  const real sign = real(args.direction);
  const stamp dt = stamp_scaled(args.clocks[CLOCK_DT], sign);
  const real width = now_of(dt), slack = TW_TICK_SHARE * now_of(args.clocks[CLOCK_DT]);
  int saved = 0;
#if TW_SAVE
  while (saved < args.save_count && stamp_same(args.save_times[saved], origin)) {
    for (int b = 0; b < packs; ++b) sample(args, block[b], block[b].y, saved);
    ++saved;
  }
#endif
  if (stamp_same(origin, end)) {
    for (int b = 0; b < packs; ++b)
      store_lanes(args, block[b], block[b].live, origin, 0, TWINML_OK, saved);
    return;
  }
  for (int b = 0; b < packs; ++b) begin_batch(args, block[b], origin, saved);
  /* The step that arrives: the first whose tick lies at the end but for rounding, or beyond. */
  count last = steps_between(args, origin, end, width) - 2;
  if (last < 0) last = 0;
  while (last < args.max_steps && sign * stamp_span(end, stamp_tick(origin, dt, last + 1)) > slack)
    ++last;
  const count budget = args.max_steps < last + 1 ? args.max_steps : last + 1;

  count i = 0;
  while (i < budget) {
    if (*args.cancel) return;
    bool alive = false;
    for (int b = 0; b < packs; ++b) alive = alive || any(block[b].live);
    if (!alive) return;
    count stop = i + TW_STRETCH < budget ? i + TW_STRETCH : budget;
    /* The step that arrives has a size of its own, and a stretch of its own. */
    if (i < last && last < stop) stop = last;
#if TW_SAVE
    if (saved < args.save_count) {
      count before = steps_between(args, origin, args.save_times[saved], width) - 1;
      if (before <= i) {
        const Step step = step_at(origin, dt, end, i, last);
#if TW_TAPE
        tape_block(args, block, packs, i);
#endif
        int behind = saved;
        for (int b = 0; b < packs; ++b) behind = sampled_step(args, block[b], step, i, saved);
        saved = behind;
        ++i;
        continue;
      }
      if (before < stop) stop = before;
    }
#endif
    Real from[TW_ABREAST][TW_N];
    for (int b = 0; b < packs; ++b) TW_EACH_STATE(s) from[b][s] = block[b].y[s];
#if TW_FSAL
    Real slope[TW_ABREAST][TW_N];
    for (int b = 0; b < packs; ++b) TW_EACH_STATE(s) slope[b][s] = block[b].k1[s];
#endif
    const count begin = i;
    const real h = step_at(origin, dt, end, i, last).h;
    for (; i < stop; ++i) {
      Step step = step_at(origin, dt, end, i, last);
      step.h = h;
#if TW_TAPE
      tape_block(args, block, packs, i);
#endif
      TW_ONE_BY_ONE
      for (int b = 0; b < packs; ++b) {
        Stages stages;
        Real y1[TW_N];
        take_step(block[b], step, stages, y1);
        move_on(block[b], stages, y1);
      }
    }
    for (int b = 0; b < packs; ++b) {
      Batch& batch = block[b];
      if (none(batch.live & !states_finite(batch.y))) continue;
      TW_EACH_STATE(s) batch.y[s] = from[b][s];
#if TW_FSAL
      TW_EACH_STATE(s) batch.k1[s] = slope[b][s];
#endif
      retrace(args, batch, origin, dt, end, begin, stop, last, saved);
    }
  }
  const bool arrived = budget == last + 1;
  for (int b = 0; b < packs; ++b)
    store_lanes(args, block[b], block[b].live, arrived ? end : stamp_tick(origin, dt, i), i,
                arrived ? TWINML_OK : TWINML_MAX_STEPS, saved);
}

/* Take a pack of rows from the queue's entry on; how many there were. */
TW_PART int load_batch(const Args& args, Batch& batch, count entry) {
  int rows = 0;
  batch.live = Mask(false);
  batch.at.w = args.weights;
  for (int lane = 0; lane < TW_LANES; ++lane) {
    /* Lanes beyond the last row repeat it and are not stored. */
    const bool real_row = entry + lane < args.entries;
    const count place = real_row ? entry + lane : args.entries - 1;
    const count row = args.order ? args.order[place] : place;
    batch.row[lane] = row;
    set(batch.live, lane, real_row);
    rows += real_row;
    for (int s = 0; s < TW_N; ++s) set(batch.y[s], lane, args.y[s * args.rows + row]);
    for (int i = 0; i < TW_P; ++i) set(batch.at.p[i], lane, column_at(args.parameters[i], row));
    for (int i = 0; i < TW_U; ++i) set(batch.at.u[i], lane, column_at(args.inputs[i], row));
    for (int i = 0; i < TW_U; ++i) set(batch.at.du[i], lane, real(0));
  }
  return rows;
}

#ifdef __CUDACC__
/* All rows take as long: each thread has its own from the start. */
TW_FN void work(const Args& args) {
  count rows = 0, turns = 0;
  for (count entry = thread_number(); entry < args.entries; entry += thread_count(), ++turns) {
    Batch block[1];
    rows += load_batch(args, block[0], entry);
    run_block(args, block, 1);
  }
  add_up(&args.lane_steps[0], rows);
  add_up(&args.lane_steps[1], turns);
}
#else
/* Work off the queue, a block at a time; several threads may do so at once. */
TW_BIG void work(const Args& args) {
  Batch block[TW_ABREAST];
  count packs_run = 0, rows = 0;
  for (;;) {
    count entry = TW_FETCH_ADD(args.next, TW_ABREAST * TW_LANES);
    if (entry >= args.entries || *args.cancel) break;
    int packs = 0;
    for (; packs < TW_ABREAST && entry < args.entries; ++packs, entry += TW_LANES)
      rows += load_batch(args, block[packs], entry);
    run_block(args, block, packs);
    packs_run += packs;
  }
  TW_FETCH_ADD(&args.lane_steps[0], rows);
  TW_FETCH_ADD(&args.lane_steps[1], packs_run * TW_LANES);
}
#endif

}  // namespace tw

#endif
