/* Trajectories at the save points, filled step by step from the dense output. */
#ifndef TWINML_SAVING_H
#define TWINML_SAVING_H

namespace tw {

/* Steps whose derivatives are taken come with these. */
#if TW_DIRECTIONS
#define TW_WITH_MOTION , const Motion& motion
#define TW_MOTION , motion
#else
#define TW_WITH_MOTION
#define TW_MOTION
#endif

#if TW_SAVE
/* Lanes with a save point at or before a time, before it where the state jumps there. */
TW_FN Mask save_due(const Args& args, const Pack& pack, const Clock& t1, const Mask& jumps) {
  Mask early = args.direction > 0 ? before(pack.next_save, t1) : before(t1, pack.next_save);
  return early | (same_time(pack.next_save, t1) & !jumps);
}

/* Take the save points that an accepted step covers. */
TW_BIG void save_samples(const Args& args, Pack& pack, const Path& path, const Mask& taken,
                         const Mask& jumps TW_WITH_MOTION) {
  Mask due = taken & save_due(args, pack, path.t1, jumps);
  while (any(due)) {
    Mask at_end = same_time(pack.next_save, path.t1);
    Real theta = span(pack.next_save, path.t) / path.h;
    Real y[TW_N];
    states_at(path, select(at_end, Real(real(1)), theta), y);
#if TW_DIRECTIONS
    Real dy[TW_DIRECTIONS * TW_N];
    tangents_at(path, motion, at_end, theta, dy);
#endif
    for (int lane = 0; lane < TW_LANES; ++lane) {
      if (!get(due, lane)) continue;
      store_sample(args, pack, y, lane, pack.book.saved[lane]);
#if TW_DIRECTIONS
      store_tangents(args, pack, dy, lane, pack.book.saved[lane]);
#endif
      set_clock(pack.next_save, lane, save_time(args, pack.book.row[lane], ++pack.book.saved[lane]));
    }
    due = taken & save_due(args, pack, path.t1, jumps);
  }
}

TW_FN void take_samples(const Args& args, Pack& pack, const Path& path, const Mask& taken,
                        const Mask& jumps TW_WITH_MOTION) {
  if (none(taken & save_due(args, pack, path.t1, jumps))) return;
  Pack there = pack;
  const Path part = path;
  save_samples(args, there, part, taken, jumps TW_MOTION);
  pack = there;
}
#endif

}  // namespace tw

#endif
