/* The model's outputs at saved states: a pack of samples at a time. An input or changed parameter
 * counts from its own time on, so a sample taken exactly at a jump sees the value after it.
 *
 * The unit defines TW_M, how many outputs there are, and emits `outputs`.
 */
#ifndef TWINML_OBSERVE_H
#define TWINML_OBSERVE_H

namespace tw {

#define TW_SAMPLES_AT_ONCE (64 * TW_LANES)

/* Samples `begin` to `stop` of all rows, counted row by row. */
TW_BIG void observe_some(const Args& args, Context& at, count begin, count stop) {
  const count points = args.sample_count, total = args.rows * points;
  count row_of[TW_LANES];
  int pointer[TW_SOME(TW_SOURCES) * TW_LANES];
  Clock t = clock_of(stamp()), limit = t, end = t;
  for (int lane = 0; lane < TW_LANES; ++lane) row_of[lane] = -1;
  for (count first = begin; first < stop; first += TW_LANES) {
    Real y[TW_N], out[TW_M];
    for (int lane = 0; lane < TW_LANES; ++lane) {
      /* Lanes beyond the last sample repeat it and are not stored. */
      const count place = first + lane < stop ? first + lane : stop - 1;
      const count row = place / points;
      const stamp when = args.sample_times[row * args.sample_stride + place % points];
      set_clock(t, lane, when);
      for (int s = 0; s < TW_N; ++s) set(y[s], lane, args.samples[s * total + place]);
#if TW_SOURCES
      for (int s = 0; s < TW_SOURCES; ++s)
        pointer[s * TW_LANES + lane] = knots_behind(args, s, row, when, true);
#else
      if (row == row_of[lane]) continue;
#endif
      row_of[lane] = row;
      refresh(args, at, limit, end, pointer, row, lane);
    }
    TW_INPUTS_AT(at, t, u)
    outputs(now(t), y, at.p, u, at.c, at.w, out);
    for (int lane = 0; lane < TW_LANES && first + lane < stop; ++lane)
      for (int o = 0; o < TW_M; ++o)
        args.observed[o * total + first + lane] = get(out[o], lane);
  }
}

#ifdef __CUDACC__
/* Neighbouring threads take neighbouring samples of a row, whose times and states lie side by side. */
TW_FN void observe(const Args& args) {
  const count total = args.rows * args.sample_count;
  Context at = Context();
  at.w = args.weights;
  for (count place = thread_number(); place < total; place += thread_count())
    observe_some(args, at, place, place + 1);
}
#else
TW_BIG void observe(const Args& args) {
  const count total = args.rows * args.sample_count;
  Context at = Context();
  at.w = args.weights;
  for (;;) {
    const count begin = TW_FETCH_ADD(args.next, TW_SAMPLES_AT_ONCE);
    if (begin >= total || *args.cancel) return;
    const count stop = begin + TW_SAMPLES_AT_ONCE < total ? begin + TW_SAMPLES_AT_ONCE : total;
    observe_some(args, at, begin, stop);
  }
}
#endif

}  // namespace tw

#ifdef __CUDACC__
extern "C" __global__ void tw_observe(const TW_GRID_CONSTANT tw::Args args) { tw::observe(args); }
#else
extern "C" __attribute__((visibility("default"))) int tw_observe(const tw::Args* args) {
  if (args->bytes != (tw::count)sizeof(tw::Args)) return 1;
  tw::FloatMode mode;
  tw::observe(*args);
  return 0;
}
#endif

#endif
