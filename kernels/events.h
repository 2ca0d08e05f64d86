/* Where the guards of a model reach zero inside a step: the rules of twinml/engines/guards.py.
 *
 * A guard is read on the dense output at the ends of the step and four points between. Its sign is
 * kept from the stored end of the last step. A guard that stands at zero (at the start, or after
 * its own event) is disarmed: it counts from the value it has there and its side is that of its
 * slope; its return to zero is the root of (g(theta) - g(0)) / theta.
 *
 * The unit defines TW_EVENTS (how many), EVENT_DIRECTION, GUARD_READS (whether any guard reads a
 * state) and the functions `guards` (values) and
 * `guards_moving` (values and derivatives along a motion).
 */
#ifndef TWINML_EVENTS_H
#define TWINML_EVENTS_H

#include "nodes.h"
#include "roots.h"

namespace tw {

#define TW_EACH_EVENT(e) for (int e = 0; e < TW_EVENTS; ++e)
#define TW_UNREAD real(2) /* the side of a guard that nobody has read yet */

/* What a row knows of its guards between steps. */
struct Watch {
  Real side[TW_EVENTS]; /* -1, 0 (disarmed) or 1 */
  Real near[TW_EVENTS]; /* what counts as zero */
  Int counts[TW_EVENTS];
  Int status; /* bits of a row that an event ends or loses */
};

/* The first event of each row in a step. */
struct Found {
  Int event;            /* -1 for none */
  Real theta;           /* where it happens; 1 for none */
  Real side[TW_EVENTS]; /* just before the event, or at the end of the step */
  Real near[TW_EVENTS];
  Mask stuck[TW_EVENTS]; /* came back towards zero before they had left it by more than rounding */
  Mask lost;             /* a guard is not finite before any event */
};

TW_FN void clear(Watch& watch) {
  TW_EACH_EVENT(e) {
    watch.side[e] = watch.near[e] = Real(real(0));
    watch.counts[e] = Int(integer(0));
  }
  watch.status = Int(integer(0));
}

TW_BIG void load_watch(const Args& args, Watch& watch, int lane, count row) {
  TW_EACH_EVENT(e) {
    const count place = e * args.rows + row;
    set(watch.side[e], lane, real(args.side[place]));
    set(watch.near[e], lane, args.near_zero[place]);
    set(watch.counts[e], lane, integer(args.happened[place]));
  }
  set(watch.status, lane, integer(0));
}

TW_BIG void store_watch(const Args& args, const Watch& watch, int lane, count row) {
  TW_EACH_EVENT(e) {
    const count place = e * args.rows + row;
    args.side[place] = count(get(watch.side[e], lane));
    args.near_zero[place] = get(watch.near[e], lane);
    args.happened[place] = get(watch.counts[e], lane);
  }
}

TW_FN void find_none(Found& found) {
  found.event = Int(integer(-1));
  found.theta = Real(real(1));
  found.lost = Mask(false);
}

TW_FN void guards_at(const Context& at, const Clock& time, const Real* y, Real* value) {
  TW_INPUTS_AT(at, time, u)
  guards(now(time), y, at.p, u, at.c, at.w, value);
}

/* All guards on the dense output. */
TW_BIG void guards_along(const Context& at, const Path& path, const Real& theta, Real* value) {
  Real y[TW_N], unused;
  TW_EACH_STATE(s) if (GUARD_READS[s]) motion_of(path, s, theta, y[s], unused);
  guards_at(at, advance(path.t, theta * path.h), y, value);
}

/* And their derivatives by theta. */
TW_BIG void guards_moving_along(const Context& at, const Path& path, const Real& theta,
                                Real* value, Real* rate) {
  Real y[TW_N], dy[TW_N];
  TW_EACH_STATE(s) if (GUARD_READS[s]) motion_of(path, s, theta, y[s], dy[s]);
  const Clock time = advance(path.t, theta * path.h);
  TW_INPUTS_AT(at, time, u)
  TW_INPUT_MOTION(at, path.h, du)
  guards_moving(now(time), y, at.p, u, at.c, at.w, path.h, dy, du, value, rate);
}

/* All guards at the nodes of a step. */
TW_FN void sample_guards(const Context& at, const Path& path, Real (*value)[TW_EVENTS]) {
  for (int node = 0; node < TW_NODES; ++node) {
    Real y[TW_N], unused;
    const Real theta = Real(NODE_PLACE[node]);
    TW_EACH_STATE(s) {
      if (!GUARD_READS[s]) continue;
      motion_of(path, s, theta, y[s], unused);
      if (node + 1 == TW_NODES) y[s] = path.y1[s]; /* the end is the step's own */
    }
    guards_at(at, time_at(path, theta), y, value[node]);
  }
}

/* What counts as zero for a guard that takes values up to this size. */
TW_FN Real nearness(const Real& size) {
  return Real(real(4) * TW_EPS) * select(isfinite(size), size, Real(real(0)));
}

/* One guard of one step while its first crossing is looked for. */
struct Crossing {
  Real place;          /* of the root, infinite for none */
  Real node;           /* the node it lies before, 0 for none */
  Real side[TW_NODES]; /* at the nodes */
};

/* First crossing of guard e, and whether it is stuck. `slope`: of disarmed guards at the start. */
TW_BIG void cross_zero(const Context& at, const Path& path, int e, const Mask& looking,
                       const Real& side, const Real (*values)[TW_EVENTS], const Real& slope,
                       const Real& near, Crossing& crossing, Mask& stuck) {
  const Real zero = Real(real(0));
  const Mask disarmed = side == zero;
  /* A disarmed guard counts from the value it has at the start. */
  const Real base = select(disarmed, values[0][e], zero);
  Real value[TW_NODES];
  for (int node = 0; node < TW_NODES; ++node) value[node] = values[node][e] - base;
  Real last = select(disarmed, side_of(slope), side);
  Mask still = disarmed; /* it has not moved at all yet */
  crossing.side[0] = last;
  crossing.node = zero;
  for (int node = 1; node < TW_NODES; ++node) {
    Real sign = side_of(value[node]);
    still = still & (sign == zero);
    sign = select(still, last, sign);
    Mask flips = (last != zero) & (sign != last) & isfinite(values[node][e]) &
                 (crossing.node == zero);
    if (EVENT_DIRECTION[e]) flips = flips & (last == Real(real(-EVENT_DIRECTION[e])));
    crossing.node = select(flips, Real(real(node)), crossing.node);
    crossing.side[node] = last = sign;
  }
  crossing.place = Real(TW_INFINITY);
  const Mask hit = looking & (crossing.node != zero);
  stuck = Mask(false);
  if (none(hit)) return;
  const Real before = crossing.node - Real(real(1));
  const Real low = at_node(NODE_PLACE, before), high = at_node(NODE_PLACE, crossing.node);
  const Real start = at_node(value, before);
  Real at_high = at_node(value, crossing.node);
  /* The stored end of the last step and this start may differ by rounding: the root is here. */
  const Mask agrees = side_of(start) == at_node(crossing.side, before);
  Real at_low = select(agrees, start, zero);
  const Mask at_start = low == zero;
  const Real inner = start / select(at_start, Real(real(1)), low);
  at_low = select(disarmed, select(at_start, slope, inner), at_low);
  at_high = select(disarmed, at_high / high, at_high);
  /* At its event a guard has reached zero, so that first_time(x <= 0) sees a crossing of x. */
  const Real root = bracketed_root(
      [&](const Real& theta) {
        Real found[TW_EVENTS];
        guards_along(at, path, theta, found);
        const Real moved = found[e] - base;
        return select(disarmed, moved / theta, moved);
      },
      hit, low, high, at_low, at_high, true);
  crossing.place = select(hit, root, crossing.place);
  /* A bounce rises by about a quarter of its slope times its length. */
  stuck = hit & disarmed & (Real(real(0.25)) * abs(slope) * root <= near);
}

/* Look for the first event of each row, given the guards at the nodes. */
TW_BIG void find_events(const Context& at, const Path& path, const Watch& watch,
                        const Mask& looking, const Real (*values)[TW_EVENTS], Found& found) {
  const Real zero = Real(real(0)), infinite = Real(TW_INFINITY);
  Mask asleep = Mask(false);
  TW_EACH_EVENT(e) asleep = asleep | (watch.side[e] == zero);
  Real begin[TW_EVENTS], ignored[TW_EVENTS];
  if (any(looking & asleep))
    guards_moving_along(at, path, zero, ignored, begin);
  else
    TW_EACH_EVENT(e) begin[e] = zero;

  Crossing crossing[TW_EVENTS];
  Real best = infinite;
  TW_EACH_EVENT(e) {
    const Mask disarmed = watch.side[e] == zero;
    Real size = abs(values[0][e]);
    for (int node = 1; node < TW_NODES; ++node) size = maximum(size, abs(values[node][e]));
    found.near[e] = nearness(size);
    /* What its event left there is zero, however short the step that follows. */
    const Real left = Real(real(2)) * tamed(abs(values[0][e]));
    found.near[e] = select(disarmed, max(left, found.near[e]), found.near[e]);
    cross_zero(at, path, e, looking, watch.side[e], values, select(disarmed, tamed(begin[e]), zero),
               found.near[e], crossing[e], found.stuck[e]);
    best = min(crossing[e].place, best);
  }

  /* The first of all, in declaration order among those within the roots' tolerance. */
  const Real clock = max(abs(now(path.t)), abs(now(path.t1)));
  Real slack = Real(real(4) * TW_CLOCK_EPS) * clock / max(abs(path.h), Real(TW_TINY));
#if TW_BITS == 32
  slack = max(slack, Real(real(4) * TW_EPS));
#endif
  found.event = Int(integer(-1));
  found.theta = Real(real(1));
  const Mask any_event = best < infinite;
  Real node = Real(real(TW_NODES - 1));
  for (int e = TW_EVENTS - 1; e >= 0; --e) {
    const Mask first = any_event & (crossing[e].place <= best + slack);
    found.event = select(first, Int(integer(e)), found.event);
    found.theta = select(first, crossing[e].place, found.theta);
    node = select(first, crossing[e].node - Real(real(1)), node);
  }
  found.lost = Mask(false);
  /* What lies behind the event has not happened. */
  for (int k = 0; k < TW_NODES; ++k) {
    Mask good = Mask(true);
    TW_EACH_EVENT(e) good = good & isfinite(values[k][e]);
    found.lost = found.lost | ((!good) & (Real(real(k)) <= node));
  }
  found.lost = found.lost & looking;

  Real there[TW_EVENTS], onward[TW_EVENTS];
  Mask rests[TW_EVENTS], resting = Mask(false);
  TW_EACH_EVENT(e) {
    /* A guard within the tolerance of the event, but crossed between earlier nodes, waits. */
    const Real earlier = min(node, crossing[e].node - Real(real(1)));
    const Real behind = select(crossing[e].node > zero, earlier, node);
    /* A guard that another event finds where its own left it has not left zero. */
    rests[e] = watch.side[e] == zero;
    for (int k = 0; k < TW_NODES; ++k)
      rests[e] = rests[e] & ((abs(values[k][e]) <= found.near[e]) | (Real(real(k)) > behind));
    found.side[e] = at_node(crossing[e].side, behind);
    resting = resting | rests[e];
  }
  if (any(any_event & looking)) {
    if (any(any_event & looking & resting))
      guards_moving_along(at, path, found.theta, there, onward);
    else
      guards_along(at, path, found.theta, there);
    TW_EACH_EVENT(e) {
      const Mask own = found.event == Int(integer(e));
      /* A guard that its reset leaves alone stays at what the root finder left: that is zero. */
      const Real left = Real(real(2)) * tamed(abs(there[e]));
      found.near[e] = select(own, max(left, found.near[e]), found.near[e]);
      found.stuck[e] = found.stuck[e] & own;
      const Mask mine = rests[e] & any_event;
      if (none(mine & looking)) continue;
      /* Where it has turned since, as a ball too low to tell from the floor at the top of its
       * bounce, it is armed: disarmed it would pass zero unseen. Its side is rounding. */
      const Mask same_way =
          onward[e] * side_of(begin[e]) > Real(real(0.5)) * abs(begin[e]);
      const Mask low = abs(there[e]) <= found.near[e], stays = low & same_way;
      rests[e] = select(mine, stays, rests[e]);
      found.stuck[e] = found.stuck[e] | (mine & low & !same_way & (begin[e] != zero) & !own);
    }
  }
  TW_EACH_EVENT(e) found.side[e] = select(rests[e], zero, found.side[e]);
}

/* Events in the steps that will be accepted. While every guard keeps its side at all nodes, that is
 * all there is to do. */
TW_FN void look_at_guards(const Context& at, const Path& path, const Watch& watch,
                          const Mask& looking, Found& found) {
  const Real zero = Real(real(0));
  Real values[TW_NODES][TW_EVENTS];
  sample_guards(at, path, values);
  Mask calm = Mask(true);
  find_none(found);
  TW_EACH_EVENT(e) {
    Real size = abs(values[0][e]);
    Mask kept = isfinite(size);
    for (int node = 1; node < TW_NODES; ++node) {
      kept = kept & (values[node][e] * watch.side[e] > zero);
      size = maximum(size, abs(values[node][e]));
    }
    calm = calm & kept & isfinite(size);
    found.side[e] = watch.side[e];
    found.near[e] = nearness(size);
    found.stuck[e] = Mask(false);
  }
  if (none(looking & !calm)) return;
  const Context there = at;
  const Path part = path;
  const Watch sides = watch;
  Real sampled[TW_NODES][TW_EVENTS];
  for (int node = 0; node < TW_NODES; ++node)
    TW_EACH_EVENT(e) sampled[node][e] = values[node][e];
  Found event;
  find_events(there, part, sides, looking, sampled, event);
  found = event;
}

}  // namespace tw

#endif
