/* Fixed steps that all rows take alike: shared times, no knots, changes, events, quantities or
 * noise. Packs are handed out as they stand; time, step size and save points are scalars. A row
 * that turns nan is found at the end of a stretch, which is then taken again step by step: once a
 * state is not finite it stays so.
 */
#ifndef TWINML_PLAIN_H
#define TWINML_PLAIN_H

namespace tw {

#define TW_STRETCH 64

struct Batch {
  count row[TW_LANES];
  Mask live;
  Real y[TW_N];
#if TW_FSAL
  Real k1[TW_N];
#endif
  Context at;
};

struct Step {
  stamp t, t1;
  real h; /* signed */
};

/* Where step number i begins and ends; `last` is the number of the step that arrives. All others
 * have the size asked for: the difference of two ticks is that but for the rounding of time. */
TW_FN Step step_at(stamp origin, stamp dt, stamp end, count i, count last) {
  Step step;
  step.t = stamp_tick(origin, dt, i);
  step.t1 = i >= last ? end : stamp_tick(origin, dt, i + 1);
  step.h = i >= last ? stamp_span(step.t1, step.t) : now_of(dt);
  return step;
}

TW_FN void take_step(Batch& batch, const Step& step, Stages& stages, Real* y1) {
  const Clock t = clock_of(step.t), t1 = clock_of(step.t1);
  const Real h = Real(step.h);
#if TW_STIFF_METHOD
  Mask singular;
  Real error[TW_N];
  Mask usable = try_step(batch.at, t, t1, h, batch.y, batch.y, stages, y1, error, singular);
  TW_EACH_STATE(s) y1[s] = select(usable, y1[s], Real(real(__builtin_nanf(""))));
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

TW_BIG void store_lane(const Args& args, Batch& batch, int lane, stamp t, count steps, int bits,
                       int saved) {
  const count row = batch.row[lane];
  args.t[row] = t;
  args.h[row] = real(args.step_width);
  for (int s = 0; s < TW_N; ++s) args.y[s * args.rows + row] = get(batch.y[s], lane);
  args.steps[row] = steps;
  args.grid[row] = bits & TWINML_FAILURE ? steps - 1 : steps;
  args.status[row] = bits;
  if (bits & TWINML_FAILURE) args.fail_time[row] = t;
#if TW_SAVE
  for (int k = saved; k < args.save_count; ++k)
    for (int s = 0; s < TW_N; ++s)
      args.states[(s * args.rows + row) * args.save_count + k] = real(__builtin_nanf(""));
#else
  (void)saved;
#endif
  set(batch.live, lane, false);
}

TW_BIG void store_lanes(const Args& args, Batch& batch, const Mask& which, stamp t, count steps,
                        int bits, int saved) {
  for (int lane = 0; lane < TW_LANES; ++lane)
    if (get(which, lane)) store_lane(args, batch, lane, t, steps, bits, saved);
}

/* A stretch once more, one step at a time, after some row turned nan in it. */
TW_BIG void retrace(const Args& args, Batch& batch, stamp origin, stamp dt, stamp end, count begin,
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
TW_BIG void sample(const Args& args, const Batch& batch, const Real* y, int index) {
  for (int lane = 0; lane < TW_LANES; ++lane) {
    if (!get(batch.live, lane)) continue;
    for (int s = 0; s < TW_N; ++s)
      args.states[(s * args.rows + batch.row[lane]) * args.save_count + index] = get(y[s], lane);
  }
}
#endif

/* A difference of times in steps, rounded down. */
TW_FN count steps_between(stamp from, stamp to, real width) {
  return count(stamp_span(to, from) / width);
}

TW_BIG void run_batch(const Args& args, Batch& batch) {
  const stamp origin = args.origin[batch.row[0]];
  const stamp end = column_at(args.last, batch.row[0]);
  const real sign = real(args.direction);
  const stamp dt = stamp_scaled(args.clocks[CLOCK_DT], sign);
  const real width = now_of(dt), slack = TW_TICK_SHARE * now_of(args.clocks[CLOCK_DT]);
  int saved = 0;
#if TW_SAVE
  while (saved < args.save_count && stamp_same(args.save_times[saved], origin))
    sample(args, batch, batch.y, saved++);
#endif
  if (stamp_same(origin, end)) {
    store_lanes(args, batch, batch.live, origin, 0, TWINML_OK, saved);
    return;
  }
  {
    Real slope[TW_N];
    rhs_at(batch.at, clock_of(origin), batch.y, slope);
    Mask lost = batch.live & !(states_finite(slope) & states_finite(batch.y));
    if (any(lost)) store_lanes(args, batch, lost, origin, 0, TWINML_NOT_FINITE, saved);
#if TW_FSAL
    TW_EACH_STATE(s) batch.k1[s] = slope[s];
#endif
  }
  /* The step that arrives: the first whose tick lies at the end but for rounding, or beyond. */
  count last = steps_between(origin, end, width) - 2;
  if (last < 0) last = 0;
  while (sign * stamp_span(end, stamp_tick(origin, dt, last + 1)) > slack) ++last;
  const count budget = args.max_steps < last + 1 ? args.max_steps : last + 1;

  count i = 0;
  while (i < budget && any(batch.live)) {
    count stop = i + TW_STRETCH < budget ? i + TW_STRETCH : budget;
#if TW_SAVE
    bool sampling = false;
    if (saved < args.save_count) {
      count before = steps_between(origin, args.save_times[saved], width) - 1;
      if (before <= i) {
        sampling = true;
        stop = i + 1;
      } else if (before < stop) {
        stop = before;
      }
    }
#endif
    Real from[TW_N];
    TW_EACH_STATE(s) from[s] = batch.y[s];
#if TW_FSAL
    Real slope[TW_N];
    TW_EACH_STATE(s) slope[s] = batch.k1[s];
#endif
    const count begin = i;
    Step step;
#if TW_SAVE
    if (sampling) {
      Stages stages;
      Real y1[TW_N];
      step = step_at(origin, dt, end, i, last);
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
        if (sign > 0 ? stamp_before(step.t1, when) : stamp_before(when, step.t1)) break;
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
      ++i;
      continue;
    }
#endif
    for (; i < stop; ++i) {
      Stages stages;
      Real y1[TW_N];
      step = step_at(origin, dt, end, i, last);
      take_step(batch, step, stages, y1);
      move_on(batch, stages, y1);
    }
    if (any(batch.live & !states_finite(batch.y))) {
      TW_EACH_STATE(s) batch.y[s] = from[s];
#if TW_FSAL
      TW_EACH_STATE(s) batch.k1[s] = slope[s];
#endif
      retrace(args, batch, origin, dt, end, begin, stop, last, saved);
    }
    if (*args.cancel) return;
  }
  if (!any(batch.live)) return;
  const bool arrived = budget == last + 1;
  store_lanes(args, batch, batch.live, arrived ? end : stamp_tick(origin, dt, i), i,
              arrived ? TWINML_OK : TWINML_MAX_STEPS, saved);
}

/* Work off the queue, a pack at a time; several threads may do so at once. */
TW_BIG void work(const Args& args) {
  Batch batch;
  count packs = 0, rows = 0;
  for (;;) {
    const count entry = TW_FETCH_ADD(args.next, TW_LANES);
    if (entry >= args.entries || *args.cancel) break;
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
    run_batch(args, batch);
    ++packs;
  }
  TW_FETCH_ADD(&args.lane_steps[0], rows);
  TW_FETCH_ADD(&args.lane_steps[1], packs * TW_LANES);
}

}  // namespace tw

#endif
