/* What happens when guards reach zero: the rules of twinml/engines/events.py and watch.py.
 *
 * At one instant several events may happen: a reset may carry the state across another guard, a
 * boundary of the inputs may move a guard across zero, two guards may reach zero together. They are
 * taken one after the other, the first declared first, each on the states the one before left; a
 * guard counts as crossed when it lies on the other side than it was last seen on.
 *
 * The unit defines EVENT_TERMINAL and `reset_states` (states after event number e).
 */
#ifndef TWINML_SETTLE_H
#define TWINML_SETTLE_H

namespace tw {

/* Guards that nobody has read yet are read; rows whose guards are not finite at their start. */
TW_FN Mask watch_unready(Pack& pack) {
  Real value[TW_EVENTS];
  guards_at(pack.at, pack.t, pack.y, value);
  Mask bad = Mask(false);
  TW_EACH_EVENT(e) {
    const Mask unread = pack.watch.side[e] == Real(TW_UNREAD);
    pack.watch.side[e] = select(unread, side_of(value[e]), pack.watch.side[e]);
    pack.watch.near[e] = select(unread, nearness(abs(value[e])), pack.watch.near[e]);
    bad = bad | !isfinite(value[e]);
  }
  return bad & same_time(pack.t, pack.first);
}

TW_FN void add_status(Watch& watch, const Mask& where, int bits) {
  watch.status = select(where, watch.status | Int(integer(bits)), watch.status);
}

TW_FN Mask has_status(const Watch& watch, int bits) {
  return (watch.status & Int(integer(bits))) != Int(integer(0));
}

TW_FN Mask states_ok(const Real* y) {
  Mask ok = Mask(true);
  TW_EACH_STATE(s) ok = ok & isfinite(y[s]);
  return ok;
}

/* Note the event in the rows `mine` and apply its reset. */
TW_FN void let_happen(const Args& args, Pack& pack, int e, Mask mine, Mask& happened) {
  Watch& watch = pack.watch;
  const Mask over = mine & (watch.counts[e] >= Int(integer(args.max_events)));
  add_status(watch, over, TWINML_EVENT_LIMIT);
  mine = mine & !over;
  if (none(mine)) return;
  happened = happened | mine;
  for (int lane = 0; lane < TW_LANES; ++lane) {
    if (!get(mine, lane)) continue;
    const count place = e * args.max_events + get(watch.counts[e], lane);
    args.event_times[place * args.rows + pack.book.row[lane]] = get_clock(pack.t, lane);
  }
  watch.counts[e] = select(mine, watch.counts[e] + Int(integer(1)), watch.counts[e]);
#if TW_DIRECTIONS
  move_reset(pack, e, mine);
#endif
  Real after[TW_N];
  {
    TW_INPUTS_AT(pack.at, pack.t, u)
    reset_states(e, now(pack.t), pack.y, pack.at.p, u, pack.at.c, pack.at.w, after);
  }
  TW_EACH_STATE(s) pack.y[s] = select(mine, after[s], pack.y[s]);
  const Mask ok = states_ok(pack.y);
  add_status(watch, mine & !ok, TWINML_NOT_FINITE);
  if (EVENT_TERMINAL[e]) add_status(watch, mine & ok, TWINML_EVENT_STOP);
}

/* The next event of the rows `active` after `event`, -1 for none; brings their sides up to date. */
TW_FN Int next_event(Pack& pack, const Mask& active, const Int& event) {
  Watch& watch = pack.watch;
  const Real zero = Real(real(0));
  Real value[TW_EVENTS];
  guards_at(pack.at, pack.t, pack.y, value);
  Mask bad = Mask(false);
  Int following = Int(integer(-1));
  TW_EACH_EVENT(e) {
    bad = bad | !isfinite(value[e]);
    const Real side = watch.side[e];
    const Mask own = event == Int(integer(e)), small = abs(value[e]) <= watch.near[e];
    /* After its own event, and while it has not left zero, a guard near zero is disarmed. */
    const Real sign = select((own | (side == zero)) & small, zero, side_of(value[e]));
    Mask flips = (side != zero) & (sign != side) & !own;
    if (EVENT_DIRECTION[e]) flips = flips & (side == Real(real(-EVENT_DIRECTION[e])));
    following = select((following < Int(integer(0))) & flips, Int(integer(e)), following);
    /* A crossed guard keeps its side until its turn has come. */
    watch.side[e] = select(active & !flips, sign, side);
  }
  add_status(watch, active & bad, TWINML_NOT_FINITE);
  /* Where a row stops here, what else was crossed waits for whoever goes on from there. */
  return select(watch.status == Int(integer(0)), following, Int(integer(-1)));
}

/* Let the events of this instant happen in the rows `mask`; says in which rows one did. `event` is
 * what a step ended with, -1 for nothing; `stuck` as in Found, null for none. */
TW_BIG Mask settle(const Args& args, Pack& pack, Int event, const Mask& mask, const Mask* stuck) {
  const Int nothing = Int(integer(-1));
  Watch& watch = pack.watch;
  Mask happened = Mask(false), active = mask;
  if (stuck) {
    /* Infinitely many events in a finite time: beyond this point there is only rounding. */
    Mask again = Mask(false);
    TW_EACH_EVENT(e) again = again | (stuck[e] & (watch.counts[e] > Int(integer(1))));
    again = again & mask & (event > nothing);
    add_status(watch, again, TWINML_EVENT_LIMIT);
    active = active & !again;
  }
  while (any(active)) {
    Mask pending = active & (event > nothing);
    TW_EACH_EVENT(e) {
      const Mask mine = pending & (event == Int(integer(e)));
      if (any(mine)) let_happen(args, pack, e, mine, happened);
    }
    active = active & !has_status(watch, TWINML_FAILURE);
    if (none(active)) break;
    event = next_event(pack, active, event);
    active = active & (event > nothing);
  }
  return happened;
}

/* Rows that an event ends or loses, with their bits noted. */
TW_BIG void note_status(Pack& pack, const Mask& stopped) {
  for (int lane = 0; lane < TW_LANES; ++lane)
    if (get(stopped, lane)) pack.book.status[lane] |= int(get(pack.watch.status, lane));
}

TW_FN Mask watch_stopped(Pack& pack) {
  const Mask stopped = pack.live & (pack.watch.status != Int(integer(0)));
  if (none(stopped)) return stopped;
  Pack there = pack;
  note_status(there, stopped);
  pack = there;
  return stopped;
}

/* Paths that end here still show the state that an event left: `stops` at once, `ends` in time. */
TW_BIG void show_rest(const Args& args, Pack& pack, const Mask& stops, const Mask& ends) {
  (void)args; (void)pack; (void)stops; (void)ends;
#if TW_FUNCTIONALS
  rest_totals(args, pack, stops | ends, stops);
#endif
#if TW_SAVE
  Path path;
  rest_path(pack, path);
#if TW_DIRECTIONS
  Motion motion;
  rest_motion(pack, motion);
#endif
  save_samples(args, pack, path, stops | ends, Mask(false) TW_MOTION);
#endif
}

TW_FN void show_endings(const Args& args, Pack& pack, const Mask& accepted, const Mask& happened) {
  const Mask stops = accepted & has_status(pack.watch, TWINML_EVENT_STOP);
  const Mask ends = happened & same_time(pack.t, pack.end) &
                    (pack.watch.status == Int(integer(0)));
  if (none(stops | ends)) return;
  Pack there = pack;
  show_rest(args, there, stops, ends);
  pack = there;
}

/* Guards that lie on another side than an earlier solution left them, in the rows `fresh`; says
 * which rows end. */
TW_FN Mask begin_watch(const Args& args, Pack& pack, const Mask& fresh) {
  const Mask look = fresh & same_time(pack.t, pack.first);
  if (!args.continued || none(look)) return Mask(false);
  const Mask happened = settle(args, pack, Int(integer(-1)), look, nullptr);
  if (any(happened)) {
    Real slope[TW_N];
    rhs_at(pack.at, pack.t, pack.y, slope);
    TW_EACH_STATE(s) pack.k1[s] = select(happened, slope[s], pack.k1[s]);
#if TW_DIRECTIONS
    slope_tangents(pack, happened);
#endif
  }
  const Mask stops = fresh & has_status(pack.watch, TWINML_EVENT_STOP);
  if (any(stops)) show_rest(args, pack, stops, Mask(false));
  return fresh & watch_stopped(pack);
}

/* Events in the steps of the rows `accepted`. */
TW_FN void look_for_events(const Pack& pack, const Path& path, const Mask& accepted,
                           Found& found) {
  look_at_guards(pack.at, path, pack.watch, accepted, found);
}

/* Events of accepted steps, and of boundaries in rows that `crossed` one; says where one did. */
TW_FN Mask settle_events(const Args& args, Pack& pack, const Found& found, const Mask& accepted,
                         const Mask& crossed) {
  TW_EACH_EVENT(e) {
    pack.watch.side[e] = select(accepted, found.side[e], pack.watch.side[e]);
    pack.watch.near[e] = select(accepted, found.near[e], pack.watch.near[e]);
  }
  const Mask look = accepted & (crossed | (found.event > Int(integer(-1))));
  if (none(look)) return Mask(false);
  Pack there = pack;
  const Found event = found;
  const Mask happened = settle(args, there, event.event, look, event.stuck);
  pack = there;
  return happened;
}

}  // namespace tw

#endif
