/* How rows come from the queue into the lanes of a pack, and how they leave. */
#ifndef TWINML_QUEUE_H
#define TWINML_QUEUE_H

namespace tw {

/* How many entries there are; the rows that another launch hands over are counted by it. */
TW_FN count entries_of(const Args& args) {
  return args.entries_at ? *args.entries_at : args.entries;
}

/* The row of an entry of the queue, -1 beyond its end. */
TW_FN count row_at(const Args& args, count entry) {
  if (entry >= entries_of(args)) return -1;
  return args.order ? args.order[entry] : entry;
}

TW_BIG void leave_lanes(const Args& args, Pack& pack, const Mask& leaving, int bits) {
  TW_EACH_LANE(leaving, lane) store_row(args, pack, lane, bits | pack.book.status[lane]);
}

/* The rows that come next, with their slopes and first steps, which are computed for whole packs: a
 * lane that is refilled alone costs a few copies and no evaluation. */
struct Stage {
  Pack pack;
  int next; /* lane of the next row */
};

/* Take rows from the queue and ready them. */
TW_BIG void take_rows(const Args& args, Stage& stage, count entry) {
  Pack& pack = stage.pack;
  stage.next = 0;
  Mask fresh = Mask(false);
  for (int lane = 0; lane < TW_LANES; ++lane) {
    const count row = row_at(args, entry + lane);
    if (row < 0) break;
    load_row(args, pack, lane, row);
    set(fresh, lane, true);
  }
  pack.live = fresh;
  /* A span of zero length still has values and quantities at its one time. */
  Mask still = fresh & same_time(pack.t, pack.end);
#if TW_FUNCTIONALS
  if (any(still)) rest_totals(args, pack, still, Mask(false));
#endif
  rhs_at(pack.at, pack.t, pack.y, pack.k1);
#if TW_DIRECTIONS
  slope_tangents(pack, fresh);
#endif
  Mask lost = Mask(false);
  TW_EACH_STATE(s) lost = lost | !isfinite(pack.k1[s]) | !isfinite(pack.y[s]);
#if TW_EVENTS
  lost = lost | watch_unready(pack);
#endif
  lost = lost & fresh & !still;
  if (any(still)) leave_lanes(args, pack, still, TWINML_OK);
  if (any(lost)) leave_lanes(args, pack, lost, TWINML_NOT_FINITE);
#if TW_EVENTS
  Mask stopped = begin_watch(args, pack, pack.live);
  if (any(stopped)) leave_lanes(args, pack, stopped, TWINML_OK);
#endif
#if TW_ADAPTIVE
  pack.floor = Real(real(4)) * coarse_resolution(pack.end, pack.first);
  Mask unknown = pack.live & !(pack.h > Real(real(0)));
  if (any(unknown)) {
    Real h = first_step(pack.at, pack.t, pack.end, pack.first, pack.y, pack.k1, args.settings,
                        real(args.direction), Real(now(clock_of(args.clocks[CLOCK_MAX_STEP]))));
    pack.h = select(unknown, h, pack.h);
  }
#endif
}

/* Have rows in the stage; false when the queue is empty. Rows that end where they begin leave from
 * the stage. */
TW_BIG bool prepare(const Args& args, Stage& stage) {
  while (!*args.cancel) {
    const count entry = TW_TAKE(args.next, TW_LANES);
    if (entry >= entries_of(args)) return false;
    take_rows(args, stage, entry);
    if (any(stage.pack.live)) return true;
  }
  return false;
}

/* Give every lane without a row the next one; false when no lane holds any. */
TW_BIG bool fill(const Args& args, Pack& pack, Stage& stage) {
  Book& book = pack.book;
  TW_EACH_LANE(!pack.live, lane) {
    while (stage.next < TW_LANES && !get(stage.pack.live, stage.next)) ++stage.next;
    if (stage.next == TW_LANES && !prepare(args, stage)) break;
    while (!get(stage.pack.live, stage.next)) ++stage.next;
    copy_lane(pack, lane, stage.pack, stage.next++);
    const count spends = book.began[lane] + args.max_steps;
    if (spends < book.deadline) book.deadline = spends;
  }
  book.filled = book.tick;
  book.held = count_lanes(pack.live);
  return book.held > 0;
}

}  // namespace tw

#endif
