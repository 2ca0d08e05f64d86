/* Derivatives of what a run saved, followed backward through its steps (explicit methods).
 *
 * Rows sit in lanes as they do forward; the host orders them so that those of a pack took about as
 * many steps. For each step, the latest first: the stages are computed again from the state on the
 * tape, the derivative by the state at the end and by the samples inside is pulled back through the
 * interpolant and the stages, and what reaches parameters and inputs is handed to where the interval
 * of the step has them from. Step sizes stand still (NUMERICS 5).
 *
 * A lane whose row has no step to offer takes one of size zero, which adds nothing.
 *
 * Derivatives by what all rows share (weights, values of shared signals) are summed by lane over the
 * steps of a pack, then over its lanes in a fixed order, then over the packs of a block in theirs. A
 * pack always has 64 bytes of numbers, so the sums do not depend on the width of a register, nor, as
 * blocks are fixed by the host, on the number of threads.
 *
 * The unit defines, besides what run.h names: TW_SLOT (numbers that one evaluation keeps and notes),
 * TW_KEPT (those it keeps), TW_SHARES (whether weights want a derivative), TW_PULL_P and TW_PULL_U
 * with PULLED_P, PULLED_U (parameters and inputs that do), the stages as tableau text has them and
 * TW_PULL_*, and the functions rhs_keep, rhs_pull and gather_shares.
 */
#ifndef TWINML_REVERSE_H
#define TWINML_REVERSE_H

#include "forcing.h"
#if TW_PLAIN
#include "plain_step.h"
#endif
#include "tape.h"

namespace tw {

struct Reverse {
  count blocks, packs;       /* blocks, and packs of one */
  const real* seeds;         /* by what was saved, (n, rows, save_count); null for none */
  const real* end_seeds;     /* by the states at the end, (n, rows); null for none */
  real* states;              /* by the initial states, (n, rows) */
  real* parameters;          /* (TW_PULL_P, rows) */
  real* inputs;              /* constant inputs, (TW_PULL_U, rows) */
  real* const* signals;      /* values of signals per row, (rows, knots); null for none */
  const count* shared;       /* shared signals: where their values stand among the sums; or -1 */
  real* changes;             /* values of changes, (changes, rows) */
  count sums;                /* numbers that all rows share */
  real* totals;              /* (blocks, sums) */
  char* scratch;             /* of all threads */
  count scratch_bytes;       /* of one */
  count* threads;            /* how many have begun */
};

#define TW_STAGE_COUNT (TW_STAGES + TW_EXTRA)
#define TW_BARS (TW_N + TW_PULL_P + TW_PULL_U)
/* Evaluations between two sums of outer products: as many as stay in the cache. */
#define TW_SLOTS (TW_SHARES ? TW_STAGE_COUNT + 32 : TW_STAGE_COUNT)

/* The interval of each lane, and what acts in it. */
struct Within {
  bool lost[TW_LANES]; /* not that of any interval yet */
  int pointer[TW_SOME(TW_SOURCES) * TW_LANES];
  Clock enter, limit;
  Context at;
};

struct Lanes {
  count row[TW_LANES];
  count left[TW_LANES];   /* steps not yet followed */
  count chunk[TW_LANES];  /* of the latest of them */
  int length[TW_LANES];   /* steps of the segment at hand */
  int saved[TW_LANES];    /* number of the latest sample not yet met */
  Clock end;               /* of the horizon */
  Clock t1;                /* arrival of the latest step */
  Clock rest;              /* a time of the row at which `still` is its state */
  Real still[TW_N];
#if TW_SAVE
  Clock next_save;
#endif
  Real ybar[TW_N];
  /* What the interval at hand has collected. */
  Real pbar[TW_SOME(TW_PULL_P)], ubar[TW_SOME(TW_PULL_U)], dubar[TW_SOME(TW_PULL_U)];
  Within back; /* of the step that is followed */
#if TW_SOURCES
  Within again; /* of the step that is taken again */
#endif
};

/* Memory of a thread. */
struct Desk {
  Real* sums;
  Real* slots;
  Real* states; /* of the segment at hand, (every, n) */
  int used;     /* slots that wait to be summed */
};

TW_FN count desk_size(const Args& args) {
  const count states = args.tape->every > 1 ? args.tape->every * TW_N : 0;
  return (args.reverse->sums + count(TW_SLOTS) * TW_SLOT + states) * count(sizeof(Real));
}

#if TW_SHARES
TW_FN void sum_shares(const Args& args, Desk& desk) {
  gather_shares(desk.slots, desk.used, args.weights, desk.sums);
  desk.used = 0;
}
#endif

}  // namespace tw

#include "reverse_forcing.h"
#include "reverse_step.h"

namespace tw {

struct Taken {
  Clock t, t1;
  Real h;
  Mask active;
};

/* Number j of the segment of each lane; lanes that have fewer stand still. */
TW_FN Taken step_of(const Args& args, const Lanes& lanes, int j) {
  Taken taken;
  taken.t = taken.t1 = lanes.rest;
  taken.h = Real(real(0));
  taken.active = Mask(false);
#if TW_PLAIN
  const int lane = 0; /* all lanes with a row to follow take the same steps */
  const stamp dt = stamp_scaled(args.clocks[CLOCK_DT], real(args.direction));
  const count row = lanes.row[lane], steps = args.steps[row];
  if (j >= lanes.length[lane]) return taken;
  const count i = lanes.left[lane] - lanes.length[lane] + j;
  const Step step = step_at(column_at(args.first, row), dt, column_at(args.last, row), i, steps - 1);
  taken.t = clock_of(step.t);
  taken.t1 = clock_of(step.t1);
  for (int other = 0; other < TW_LANES; ++other)
    if (j < lanes.length[other]) set(taken.active, other, true);
  taken.h = masked(taken.active, Real(step.h));
#else
  const Tape& tape = *args.tape;
  for (int lane = 0; lane < TW_LANES; ++lane) {
    if (j >= lanes.length[lane]) continue;
    const count i = lanes.left[lane] - lanes.length[lane] + j;
    const count place = lanes.chunk[lane] * TW_TAPE_CHUNK + i % TW_TAPE_CHUNK;
    set_clock(taken.t, lane, tape.t[place]);
    set_clock(taken.t1, lane,
              j + 1 < lanes.length[lane] ? tape.t[place + 1] : get_clock(lanes.t1, lane));
    set(taken.h, lane, real(args.direction) * tape.h[place]);
    set(taken.active, lane, true);
  }
#endif
  return taken;
}

/* The state at the start of each lane's segment; where there is none, the one it rests at. */
TW_FN void kept_states(const Args& args, const Lanes& lanes, Real* y) {
  const Tape& tape = *args.tape;
  TW_EACH_STATE(s) y[s] = lanes.still[s];
#if TW_PLAIN
  bool side_by_side = true;
  for (int lane = 0; lane < TW_LANES; ++lane)
    side_by_side = side_by_side && lanes.length[lane] && lanes.row[lane] == lanes.row[0] + lane;
  if (side_by_side) {
    const count index = (lanes.left[0] - lanes.length[0]) / tape.every;
    const real* from = tape.y + index * TW_N * tape.stride + lanes.row[0];
    TW_EACH_STATE(s) y[s] = load(from + s * tape.stride);
    return;
  }
#endif
  for (int lane = 0; lane < TW_LANES; ++lane) {
    if (!lanes.length[lane]) continue;
    const count i = lanes.left[lane] - lanes.length[lane];
#if TW_PLAIN
    const real* from = tape.y + i / tape.every * TW_N * tape.stride + lanes.row[lane];
    for (int s = 0; s < TW_N; ++s) set(y[s], lane, from[s * tape.stride]);
#else
    const count place = lanes.chunk[lane] * TW_TAPE_CHUNK + i % TW_TAPE_CHUNK;
    const real* from = tape.y + place / tape.every * TW_N;
    for (int s = 0; s < TW_N; ++s) set(y[s], lane, from[s]);
#endif
  }
}

TW_BIG void load_lanes(const Args& args, Lanes& lanes, count entry) {
  const Reverse& reverse = *args.reverse;
  lanes.back.at.w = args.weights;
#if TW_SOURCES
  lanes.again.at.w = args.weights;
#endif
  for (int i = 0; i < TW_SOME(TW_PULL_P); ++i) lanes.pbar[i] = Real(real(0));
  for (int i = 0; i < TW_SOME(TW_PULL_U); ++i) lanes.ubar[i] = lanes.dubar[i] = Real(real(0));
  for (int lane = 0; lane < TW_LANES; ++lane) {
    /* Lanes beyond the last row stand still where it ended. */
    const bool own = entry + lane < args.entries;
    const count place = own ? entry + lane : args.entries - 1;
    const count row = args.order ? args.order[place] : place;
    lanes.row[lane] = row;
    lanes.back.lost[lane] = true;
#if TW_SOURCES
    lanes.again.lost[lane] = true;
#endif
#if TW_PLAIN
    lanes.left[lane] = own ? args.steps[row] : 0;
    lanes.chunk[lane] = 0;
#else
    lanes.left[lane] = own ? args.tape->taken[row] : 0;
    lanes.chunk[lane] = args.tape->last[row];
#endif
    lanes.saved[lane] = own ? int(args.save_count) - 1 : -1;
    set_clock(lanes.t1, lane, args.t[row]);
    set_clock(lanes.rest, lane, args.t[row]);
    set_clock(lanes.end, lane, column_at(args.last, row));
    for (int s = 0; s < TW_N; ++s) {
      set(lanes.still[s], lane, args.y[s * args.rows + row]);
      const bool seeded = own && reverse.end_seeds;
      set(lanes.ybar[s], lane, seeded ? reverse.end_seeds[s * args.rows + row] : real(0));
    }
#if TW_SAVE
    set_clock(lanes.next_save, lane, sample_time(args, row, lanes.saved[lane]));
#endif
#if !TW_SOURCES
    for (int i = 0; i < TW_P; ++i) set(lanes.back.at.p[i], lane, column_at(args.parameters[i], row));
    for (int i = 0; i < TW_U; ++i) set(lanes.back.at.u[i], lane, column_at(args.inputs[i], row));
    for (int i = 0; i < TW_U; ++i) set(lanes.back.at.du[i], lane, real(0));
#endif
  }
}

/* Write down what the rows' own quantities have collected. */
TW_BIG void store_lanes(const Args& args, Lanes& lanes, Real* sums, count entry) {
  const Reverse& reverse = *args.reverse;
  (void)sums;
  for (int lane = 0; lane < TW_LANES && entry + lane < args.entries; ++lane) {
    const count row = lanes.row[lane];
#if TW_SAVE
    /* Samples at the very start. */
    if (reverse.seeds)
      for (int index = lanes.saved[lane]; index >= 0; --index)
        for (int s = 0; s < TW_N; ++s)
          add_to(lanes.ybar[s], lane, reverse.seeds[(s * args.rows + row) * args.save_count + index]);
#endif
    for (int s = 0; s < TW_N; ++s) reverse.states[s * args.rows + row] = get(lanes.ybar[s], lane);
#if TW_SOURCES
    if (!lanes.back.lost[lane]) settle(args, lanes, sums, lane);
#else
    for (int n = 0; n < TW_PULL_P; ++n)
      reverse.parameters[n * args.rows + row] = get(lanes.pbar[n], lane);
    for (int n = 0; n < TW_PULL_U; ++n) reverse.inputs[n * args.rows + row] = get(lanes.ubar[n], lane);
#endif
  }
}

TW_BIG void follow_pack(const Args& args, Lanes& lanes, Desk& desk, count entry) {
  const int every = int(args.tape->every);
  load_lanes(args, lanes, entry);
  for (;;) {
    int longest = 0;
    for (int lane = 0; lane < TW_LANES; ++lane) {
      const count left = lanes.left[lane];
      lanes.length[lane] = left ? int((left - 1) % every) + 1 : 0;
      longest = lanes.length[lane] > longest ? lanes.length[lane] : longest;
    }
    if (!longest || *args.cancel) break;
    Real y[TW_N];
    kept_states(args, lanes, y);
    const Real* states = y;
    if (longest > 1) {
      TW_EACH_STATE(s) desk.states[s] = y[s];
      for (int j = 0; j + 1 < longest; ++j) {
        const Taken taken = step_of(args, lanes, j);
#if TW_SOURCES
        Within& within = lanes.again;
        locate(args, lanes, within, nullptr, taken.t, taken.active);
#else
        Within& within = lanes.back;
#endif
        Real* here = desk.states + j * TW_N;
        Real* next = here + TW_N;
        take_again(args, within.at, desk, taken.t, taken.t1, taken.h, here, next);
        TW_EACH_STATE(s) next[s] = select(taken.active, next[s], here[s]);
      }
      states = desk.states;
    }
    for (int j = longest - 1; j >= 0; --j) {
      const Taken taken = step_of(args, lanes, j);
#if TW_SOURCES
      locate(args, lanes, lanes.back, desk.sums, taken.t, taken.active);
#endif
      const Real* here = states + j * TW_N;
      if (longest > 1) TW_EACH_STATE(s) y[s] = select(taken.active, here[s], lanes.still[s]);
      follow_step(args, lanes, desk, taken.t, taken.t1, taken.h, y, taken.active);
    }
    const Taken first = step_of(args, lanes, 0);
    lanes.t1 = pick(first.active, first.t, lanes.t1);
    lanes.rest = pick(first.active, first.t, lanes.rest);
    TW_EACH_STATE(s) lanes.still[s] = select(first.active, states[s], lanes.still[s]);
    for (int lane = 0; lane < TW_LANES; ++lane) {
      if (!lanes.length[lane]) continue;
      lanes.left[lane] -= lanes.length[lane];
#if !TW_PLAIN
      if (lanes.left[lane] && lanes.left[lane] % TW_TAPE_CHUNK == 0)
        lanes.chunk[lane] = args.tape->link[lanes.chunk[lane]];
#endif
    }
  }
  store_lanes(args, lanes, desk.sums, entry);
}

/* Add the lanes of every sum, halves on halves. */
TW_BIG void add_lanes(const Args& args, Desk& desk, real* totals) {
#if TW_SHARES
  sum_shares(args, desk);
#endif
  for (count i = 0; i < args.reverse->sums; ++i) {
    real part[TW_LANES];
    store(part, desk.sums[i]);
    for (int half = TW_LANES / 2; half > 0; half /= 2)
      for (int lane = 0; lane < half; ++lane) part[lane] = part[lane] + part[lane + half];
    totals[i] += part[0];
    desk.sums[i] = Real(real(0));
  }
}

/* Work off the blocks; several threads may do so at once, each with a desk of its own. */
TW_BIG void follow(const Args& args, char* memory) {
  const Reverse& reverse = *args.reverse;
  Desk desk;
  desk.sums = (Real*)memory;
  desk.slots = desk.sums + reverse.sums;
  desk.states = desk.slots + count(TW_SLOTS) * TW_SLOT;
  desk.used = 0;
  for (count i = 0; i < reverse.sums; ++i) desk.sums[i] = Real(real(0));
  Lanes lanes;
  for (;;) {
    const count block = TW_FETCH_ADD(args.next, 1);
    if (block >= reverse.blocks || *args.cancel) break;
    for (count pack = block * reverse.packs; pack < (block + 1) * reverse.packs; ++pack) {
      const count entry = pack * TW_LANES;
      if (entry >= args.entries) break;
      follow_pack(args, lanes, desk, entry);
      if (reverse.sums) add_lanes(args, desk, reverse.totals + block * reverse.sums);
    }
  }
}

}  // namespace tw

#ifndef __CUDACC__
/* Bytes of scratch memory that each thread needs. */
extern "C" __attribute__((visibility("default"))) tw::count tw_reverse_room(const tw::Args* args) {
  return tw::desk_size(*args);
}

extern "C" __attribute__((visibility("default"))) int tw_reverse(const tw::Args* args) {
  if (args->bytes != (tw::count)sizeof(tw::Args)) return 1;
  tw::FloatMode mode;
  const tw::count thread = TW_FETCH_ADD(args->reverse->threads, 1);
  tw::follow(*args, args->reverse->scratch + thread * args->reverse->scratch_bytes);
  return 0;
}
#endif

#endif
