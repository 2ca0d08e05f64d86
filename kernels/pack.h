/* The rows that step together, one per lane, and how a row gets into a lane and out again. */
#ifndef TWINML_PACK_H
#define TWINML_PACK_H

namespace tw {

/* Packs that take steps in turn. */
#ifndef TW_TURNS
#define TW_TURNS (TW_LANES > 1 ? 2 : 1)
#endif

/* For every lane where a mask holds. */
#define TW_EACH_LANE(mask, lane)                                                         \
  for (LaneBits left_ = lanes_of(mask); left_; left_ &= left_ - 1)                       \
    if (const int lane = first_lane(left_); true)

/* What the host knows a lane's row by. */
struct Book {
  int held;              /* lanes with a row */
  count tick, filled;    /* steps of the pack so far, and when it last took rows */
  count deadline;        /* before this tick no row has spent its steps */
  count began[TW_LANES]; /* the tick at which the row had taken none */
  count row[TW_LANES];
  int status[TW_LANES];
  int pointer[TW_SOME(TW_SOURCES) * TW_LANES]; /* knots behind, by source */
  int saved[TW_LANES];                         /* save points behind */
};

/* All members before `at.w` are lanes: entry k * TW_LANES + i of that memory belongs to lane i. */
struct Pack {
  Mask live; /* the lane holds a row */
  Clock t, end, limit, first;
  Real h;
  Real previous; /* level of the last accepted error */
  Real floor;    /* steps above are not too small */
  Real y[TW_N], k1[TW_N];
  Int rejected;
  Mask steady; /* the last trial was accepted: the step may grow */
#if TW_ADAPTIVE
  Int retries;   /* trials in a row that were not finite; counts from 0 after an accepted one */
  Mask broken;   /* the last rejected trial was not finite */
  Mask singular; /* because its linear system broke down */
#else
  Int grid;
  Clock origin;
#endif
#if TW_HANDOVER
  Int patience;
#endif
#if TW_SAVE
  Clock next_save;
#endif
#if TW_NOISE
  Int id_low, id_high; /* words of the row's id in the noise's counter */
#endif
#if TW_EVENTS
  Watch watch;
#endif
#if TW_FUNCTIONALS
  Totals totals;
#endif
#if TW_DIRECTIONS
  Real dy[TW_DIRECTIONS * TW_N], dk1[TW_DIRECTIONS * TW_N]; /* derivatives of y and k1 */
#if TW_MOVING_TIME
  Real dt[TW_DIRECTIONS], dlimit[TW_DIRECTIONS]; /* of t and of the next boundary */
#endif
#endif
  Context at;
  Book book;
};

#if TW_DIRECTIONS
}
#include "tangent_rows.h"
namespace tw {
#endif

TW_FN void clear(Pack& pack) {
  const Real zero = Real(real(0));
  pack.live = Mask(false);
  pack.steady = Mask(false);
  pack.t = pack.end = pack.limit = pack.first = clock_of(stamp());
  pack.h = zero;
  pack.previous = pack.floor = zero;
  pack.rejected = Int(integer(0));
#if TW_ADAPTIVE
  pack.retries = pack.rejected;
  pack.broken = pack.singular = Mask(false);
#else
  pack.grid = pack.rejected;
  pack.origin = pack.t;
#endif
#if TW_HANDOVER
  pack.patience = pack.rejected;
#endif
  pack.book.tick = pack.book.filled = pack.book.deadline = 0;
  pack.book.held = 0;
  TW_EACH_STATE(s) pack.y[s] = pack.k1[s] = zero;
  for (int i = 0; i < TW_SOME(TW_P); ++i) pack.at.p[i] = zero;
  for (int i = 0; i < TW_SOME(TW_CONSTANTS); ++i) pack.at.c[i] = zero;
  for (int i = 0; i < TW_SOME(TW_U); ++i) pack.at.u[i] = pack.at.du[i] = zero;
#if TW_LINEAR
  for (int i = 0; i < TW_SOME(TW_U); ++i) pack.at.since[i] = pack.t;
#endif
#if TW_SAVE
  pack.next_save = pack.t;
#endif
#if TW_NOISE
  pack.id_low = pack.id_high = Int(integer(0));
#endif
#if TW_EVENTS
  clear(pack.watch);
#endif
#if TW_FUNCTIONALS
  clear(pack.totals);
#endif
#if TW_DIRECTIONS
  clear_tangents(pack);
#endif
}

#if TW_SAVE
TW_FN stamp save_time(const Args& args, count row, int index) {
  if (index >= args.save_count) return stamp_infinite(real(args.direction));
  return args.save_times[row * args.save_stride + index];
}

TW_FN void store_sample(const Args& args, const Pack& pack, const Real* y, int lane, int index) {
  for (int s = 0; s < TW_N; ++s)
    args.states[(s * args.rows + pack.book.row[lane]) * args.save_count + index] = get(y[s], lane);
}
#endif

/* Load a row into a lane: everything but its slope and first step. */
TW_BIG void load_row(const Args& args, Pack& pack, int lane, count row) {
  pack.book.row[lane] = row;
  pack.book.status[lane] = 0;
  const stamp t = args.t[row];
  set_clock(pack.t, lane, t);
  set_clock(pack.end, lane, column_at(args.last, row));
  set_clock(pack.first, lane, column_at(args.first, row));
  set(pack.h, lane, args.h[row]);
  for (int s = 0; s < TW_N; ++s) set(pack.y[s], lane, args.y[s * args.rows + row]);
  pack.book.began[lane] = pack.book.tick - args.steps[row];
  set(pack.rejected, lane, integer(args.rejected[row]));
  set(pack.previous, lane, real(0));
  set(pack.steady, lane, true);
#if TW_ADAPTIVE
  set(pack.broken, lane, false);
#else
  set_clock(pack.origin, lane, args.origin[row]);
  set(pack.grid, lane, integer(args.grid[row]));
#endif
#if TW_HANDOVER
  set(pack.patience, lane, integer(0));
#endif
#if TW_SOURCES
  for (int s = 0; s < TW_SOURCES; ++s)
    pack.book.pointer[s * TW_LANES + lane] = knots_behind(args, s, row, t, args.direction > 0);
#endif
  refresh(args, pack.at, pack.limit, pack.end, pack.book.pointer, row, lane);
#if TW_DIRECTIONS
  load_tangents(args, pack, lane);
#endif
#if TW_NOISE
  set(pack.id_low, lane, integer((unsigned)args.ids[row]));
  set(pack.id_high, lane, integer(args.ids[row] >> 32));
#endif
#if TW_SAVE
  int saved = 0;
  stamp next = save_time(args, row, 0);
  /* A row that goes on finds its earlier samples behind it. */
  while (saved < args.save_count && !(args.direction > 0 ? stamp_before(t, next) : stamp_before(next, t))) {
    if (stamp_same(next, t)) {
      store_sample(args, pack, pack.y, lane, saved);
#if TW_DIRECTIONS
      store_tangents(args, pack, pack.dy, lane, saved);
#endif
    }
    next = save_time(args, row, ++saved);
  }
  pack.book.saved[lane] = saved;
  set_clock(pack.next_save, lane, next);
#endif
#if TW_EVENTS
  load_watch(args, pack.watch, lane, row);
#endif
#if TW_FUNCTIONALS
  load_totals(args, pack.totals, lane, row);
#endif
}

/* Move a row from a lane of one pack to a lane of another. */
TW_FN void copy_lane(Pack& to, int lane, const Pack& from, int other) {
  const Weights weights = to.at.w;
#if TW_LANES == 1
  to = from;
#else
  typedef integer __attribute__((may_alias)) slot;
  slot* target = (slot*)&to;
  const slot* source = (const slot*)&from;
  const int slots = (__builtin_offsetof(Pack, at) + __builtin_offsetof(Context, w)) / sizeof(slot);
  for (int k = 0; k + TW_LANES <= slots; k += TW_LANES) target[k + lane] = source[k + other];
  to.book.began[lane] = to.book.tick - (from.book.tick - from.book.began[other]);
  to.book.row[lane] = from.book.row[other];
  to.book.status[lane] = from.book.status[other];
  to.book.saved[lane] = from.book.saved[other];
  for (int s = 0; s < TW_SOURCES; ++s)
    to.book.pointer[s * TW_LANES + lane] = from.book.pointer[s * TW_LANES + other];
#endif
  to.at.w = weights;
}

/* Write a row back, with the bits that end it. */
TW_BIG void store_row(const Args& args, Pack& pack, int lane, int bits) {
  const count row = pack.book.row[lane];
  const stamp t = get_clock(pack.t, lane);
  args.t[row] = t;
  args.h[row] = get(pack.h, lane);
  for (int s = 0; s < TW_N; ++s) args.y[s * args.rows + row] = get(pack.y[s], lane);
  args.steps[row] = pack.book.tick - pack.book.began[lane];
  args.rejected[row] = get(pack.rejected, lane);
#if !TW_ADAPTIVE
  args.grid[row] = get(pack.grid, lane);
#endif
#if TW_HANDOVER
  const bool listed = (bits & TW_STIFF) && args.handed;
  if (listed) args.handed[TW_TAKE(args.handed_count, 1)] = row;
  args.status[row] |= listed ? bits & ~TW_STIFF : bits;
#else
  args.status[row] |= bits;
#endif
  if (bits & TWINML_FAILURE) args.fail_time[row] = t;
#if TW_SAVE
  if (!(bits & TW_STIFF))
    for (int k = pack.book.saved[lane]; k < args.save_count; ++k)
      for (int s = 0; s < TW_N; ++s)
        args.states[(s * args.rows + row) * args.save_count + k] = TW_NAN;
#endif
#if TW_EVENTS
  store_watch(args, pack.watch, lane, row);
#endif
#if TW_FUNCTIONALS
  store_totals(args, pack.totals, lane, row);
#endif
#if TW_DIRECTIONS
  keep_tangents(args, pack, lane);
#endif
  set(pack.live, lane, false);
}

#if TW_DENSE
/* A span without length, at the rows' times and states. */
TW_FN void rest_path(const Pack& pack, Path& path) {
  path.t = path.t1 = pack.t;
  path.h = Real(real(0));
  TW_EACH_STATE(s) {
    path.c[0][s] = path.y1[s] = pack.y[s];
    for (int j = 1; j < TW_TERMS; ++j) path.c[j][s] = Real(real(0));
  }
}
#endif

/* Boundaries just reached: new interval, no controller history. Says which lanes crossed one. */
#if TW_SOURCES
TW_BIG Mask cross(const Args& args, Pack& pack, const Mask& arrived) {
  Mask crossed = Mask(false);
  const int step = args.direction > 0 ? 1 : -1;
  for (int lane = 0; lane < TW_LANES; ++lane) {
    if (!get(arrived, lane)) continue;
    const stamp t = get_clock(pack.t, lane);
    bool any_hit = false, hit = true;
    /* Again while there are hits: a change may end at the time at which it begins. */
    while (hit) {
      hit = false;
      for (int s = 0; s < TW_SOURCES; ++s) {
        int& pointer = pack.book.pointer[s * TW_LANES + lane];
        if (!stamp_same(next_knot(args, s, pointer, pack.book.row[lane]), t)) continue;
        pointer += step;
        hit = any_hit = true;
      }
    }
    if (!any_hit) continue;
    set(crossed, lane, true);
    refresh(args, pack.at, pack.limit, pack.end, pack.book.pointer, pack.book.row[lane], lane);
#if TW_DIRECTIONS
    refresh_tangents(args, pack, lane);
#endif
  }
  pack.previous = select(crossed, Real(real(0)), pack.previous);
  return crossed;
}
#endif

}  // namespace tw

#endif
