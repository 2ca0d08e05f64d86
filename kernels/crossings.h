/* Crossings of a threshold, as roots of a gap on pieces where it is monotone: the rules of
 * twinml/engines/crossings.py. */
#ifndef TWINML_CROSSINGS_H
#define TWINML_CROSSINGS_H

namespace tw {

#if TW_PROFILED
/* Between nodes k and k + 1 the gap turns and might touch zero on the way. */
TW_FN Mask turns_across(const Real* value, const Real* rate, int k) {
  const Mask turns = rate[k] * rate[k + 1] < Real(real(0));
  const Real slope = maximum(abs(rate[k]), abs(rate[k + 1]));
  const Real top = maximum(-abs(value[k]), -abs(value[k + 1]));
  return turns & (fma(Real(real(2) * width_of(k)), slope, top) >= Real(real(0)));
}

/* A piece of the path on which the gap is monotone. */
struct Piece {
  Mask held;   /* the lanes that have it */
  Real a, b;   /* from theta a to b */
  Real fa, fb; /* the gap there */
};

/* The pieces between nodes k and k + 1: one, or two where the gap turns. */
TW_FN void split_piece(const Context& at, const Path& path, const Profile& profile, int expression,
                       const Mask& wanted, int k, Piece* pieces) {
  const Real *value = profile.value[expression], *rate = profile.rate[expression];
  const Mask turn = wanted & turns_across(value, rate, k);
  Real middle = Real(NODE_PLACE[k + 1]), height = value[k + 1];
  if (any(turn)) {
    const Real place = turning_point(at, path, expression, turn, rate, k);
    middle = select(turn, place, middle);
    height = select(turn, value_along(at, path, expression, place), height);
  }
  pieces[0] = Piece{wanted, Real(NODE_PLACE[k]), middle, value[k], height};
  pieces[1] = Piece{turn, middle, Real(NODE_PLACE[k + 1]), height, value[k + 1]};
}

/* Times at which the sign changes inside a piece. */
TW_FN Clock crossing_time(const Context& at, const Path& path, int expression, const Mask& wanted,
                          const Piece& piece) {
  const Real place = bracketed_root(
      [&](const Real& theta) { return value_along(at, path, expression, theta); }, wanted, piece.a,
      piece.b, piece.fa, piece.fb, false);
  return time_at(path, place);
}

/* Time spent above zero in steps that cross it or might. */
TW_BIG void split_time(const Context& at, const Path& path, const Profile& profile, int expression,
                       const Mask& hard, Real& total) {
  const Real zero = Real(real(0));
  Real sum = zero;
  for (int k = 0; k + 1 < TW_NODES; ++k) {
    Piece pieces[2];
    split_piece(at, path, profile, expression, hard, k, pieces);
    for (int half = 0; half < 2; ++half) {
      const Piece& piece = pieces[half];
      if (none(piece.held)) continue;
      const Mask at_a = piece.fa > zero, at_b = piece.fb > zero;
      const Mask enters = piece.held & (piece.fa <= zero) & at_b;
      const Mask leaves = piece.held & at_a & (piece.fb <= zero);
      Clock begin = time_at(path, piece.a), end = time_at(path, piece.b);
      if (any(enters | leaves)) {
        const Clock there = crossing_time(at, path, expression, enters | leaves, piece);
        begin = pick(enters, there, begin);
        end = pick(leaves, there, end);
      }
      Real spent = select(at_a | at_b, abs(span(end, begin)), zero);
      spent = select(isnan(piece.fa) | isnan(piece.fb), Real(TW_NAN), spent);
      sum = select(piece.held, sum + spent, sum);
    }
  }
  total = select(hard, total + sum, total);
}

TW_FN void add_time_above(const Context& at, const Path& path, const Profile& profile,
                          int expression, const Mask& taken, Real& total) {
  const Real *value = profile.value[expression], *rate = profile.rate[expression];
  const Real zero = Real(real(0));
  Mask above = Mask(true), below = Mask(true), turns = Mask(false);
  for (int k = 0; k < TW_NODES; ++k) {
    above = above & (value[k] > zero);
    below = below & (value[k] <= zero);
    if (k + 1 < TW_NODES) turns = turns | turns_across(value, rate, k);
  }
  /* Rows whose nodes all lie on one side and which do not turn need no pieces. */
  const Mask simple = (above | below) & !turns;
  total = select(taken & simple & above, total + abs(span(path.t1, path.t)), total);
  const Mask hard = taken & !simple;
  if (none(hard)) return;
  const Context there = at;
  const Path part = path;
  Real sum = total;
  split_time(there, part, profile, expression, hard, sum);
  total = sum;
}

TW_FN Mask gap_holds(const Real& value, bool strict) {
  return strict ? value > Real(real(0)) : value >= Real(real(0));
}

/* First time in steps that may hold one. */
TW_BIG void find_first(const Context& at, const Path& path, const Profile& profile, int expression,
                       bool strict, const Mask& wanted, Clock& when) {
  const Real* value = profile.value[expression];
  Mask undefined = Mask(false);
  for (int k = 0; k < TW_NODES; ++k) undefined = undefined | isnan(value[k]);
  const Mask start = gap_holds(value[0], strict);
  when = pick(wanted & start, path.t, when);
  /* An expression that is nan has no first time; comparisons would call it "not yet". */
  when = pick(wanted & undefined, no_time(), when);
  Mask open = wanted & !start & !undefined;
  for (int k = 0; k + 1 < TW_NODES && any(open); ++k) {
    Piece pieces[2];
    split_piece(at, path, profile, expression, open, k, pieces);
    for (int half = 0; half < 2; ++half) {
      const Piece& piece = pieces[half];
      const Mask hit = open & piece.held & !gap_holds(piece.fa, strict) &
                       gap_holds(piece.fb, strict);
      if (none(hit)) continue;
      when = pick(hit, crossing_time(at, path, expression, hit, piece), when);
      open = open & !hit;
    }
  }
}

/* First time at which the gap is above zero (`strict`) or not below it; infinite until then. */
TW_FN void add_first_time(const Context& at, const Path& path, const Profile& profile,
                          int expression, bool strict, const Mask& taken, Clock& when) {
  const Real *value = profile.value[expression], *rate = profile.rate[expression];
  const Mask waiting = taken & (now(when) == Real(TW_INFINITY));
  if (none(waiting)) return;
  Mask possible = Mask(false);
  for (int k = 0; k < TW_NODES; ++k) {
    possible = possible | gap_holds(value[k], strict) | isnan(value[k]);
    if (k + 1 < TW_NODES) possible = possible | turns_across(value, rate, k);
  }
  const Mask wanted = waiting & possible;
  if (none(wanted)) return;
  const Context there = at;
  const Path part = path;
  Clock found = when;
  find_first(there, part, profile, expression, strict, wanted, found);
  when = found;
}
#endif

}  // namespace tw

#endif
