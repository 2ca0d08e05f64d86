/* Brownian paths of rows, drawn from counters: the rules and numbering of twinml/engines/brownian.py.
 * The increment of a whole cell is one normal; where a step is cut inside a cell, the path there is
 * a bridge halved 16 times.
 *
 * The unit defines TW_NOISY, how many components have noise, and the table NOISY of them, rising.
 */
#ifndef TWINML_BROWNIAN_H
#define TWINML_BROWNIAN_H

namespace tw {

#define TW_HALVINGS 16
/* Share of a cell that is rounding of time: such a place is the cell's start. */
#define TW_CELL_SLACK real(TW_BITS == 64 ? 2e-9 : 2e-6)

/* Normals of one node of the tree over a cell, for each noisy component. */
TW_FN void draw_normals(const Args& args, const Pack& pack, const Int& cell, const Int& node,
                        Real* normals) {
  const unsigned key0 = (unsigned)args.seed, key1 = (unsigned)((unsigned long long)args.seed >> 32);
  Words words;
  for (int i = 0; i < TW_NOISY; ++i) {
    if (i == 0 || NOISY[i] / 2 != NOISY[i - 1] / 2) {
      words.x0 = cell;
      words.x1 = pack.id_low;
      words.x2 = shl(pack.id_high, 16) | node;
      words.x3 = word((unsigned)(NOISY[i] / 2) << 8); /* stream 0: the noise of a model */
      words = philox(words, key0, key1);
    }
    normals[i] = NOISY[i] % 2 == 0 ? normal(words.x0, words.x1) : normal(words.x2, words.x3);
  }
}

/* W relative to the cell's start, at a place from 0 to 1 of the cell; `total` at its end. */
TW_BIG void brownian_inside(const Args& args, const Pack& pack, const Int& cell, const Real& place,
                            const Real& dt, const Real* total, Real* inside) {
  const Real one = Real(real(1)), half = Real(real(0.5)), leaf_count = Real(real(65536));
  Real left[TW_SOME(TW_NOISY)], right[TW_SOME(TW_NOISY)], normals[TW_SOME(TW_NOISY)];
  Mask inner = (place > Real(TW_CELL_SLACK)) & (place < one);
  Real leaves = select(inner, place, half) * leaf_count;
  Real floor_of = min(floor(leaves), leaf_count - one);
  Int leaf = to_int(floor_of);
  for (int i = 0; i < TW_NOISY; ++i) {
    left[i] = Real(real(0));
    right[i] = total[i];
  }
  Real width = dt;
  for (int depth = 0; depth < TW_HALVINGS; ++depth) {
    Int node = shr(leaf, TW_HALVINGS - depth) + Int(integer(1) << depth);
    draw_normals(args, pack, cell, node, normals);
    Real spread = sqrt(width) * half;
    Int side = shr(leaf, TW_HALVINGS - 1 - depth) & Int(integer(1));
    Mask goes_right = side == Int(integer(1));
    for (int i = 0; i < TW_NOISY; ++i) {
      Real middle = half * (left[i] + right[i]) + spread * normals[i];
      left[i] = select(goes_right, middle, left[i]);
      right[i] = select(goes_right, right[i], middle);
    }
    width = width * half;
  }
  for (int i = 0; i < TW_NOISY; ++i) {
    Real value = left[i] + (leaves - floor_of) * (right[i] - left[i]);
    value = select(inner, value, Real(real(0)));
    inside[i] = select(place >= one, total[i], value);
  }
}

/* W(t1) - W(t) of a step inside a cell, for every state; zero for those without noise. A step that
 * arrives at its cell's end has moved the grid on. */
TW_FN void brownian_increments(const Args& args, const Pack& pack, const Int& cell, const Clock& t1,
                               Real* increments) {
  const Clock dt = clock_of(args.clocks[CLOCK_DT]);
  const Real width = now(dt), one = Real(real(1)), root = sqrt(width);
  Real whole[TW_SOME(TW_NOISY)];
  draw_normals(args, pack, cell, Int(integer(0)), whole);
  for (int i = 0; i < TW_NOISY; ++i) whole[i] = root * whole[i];
  const Clock begin = tick(pack.origin, dt, cell);
  const Mask ends = pack.grid > cell;
  const Real low = span(pack.t, begin) / width;
  const Mask part = pack.live & (!ends | (low > Real(TW_CELL_SLACK)));
  if (any(part)) {
    Real after[TW_SOME(TW_NOISY)], before[TW_SOME(TW_NOISY)];
    const Real high = select(ends, one, span(t1, begin) / width);
    brownian_inside(args, pack, cell, high, width, whole, after);
    brownian_inside(args, pack, cell, low, width, whole, before);
    for (int i = 0; i < TW_NOISY; ++i)
      whole[i] = select(part, after[i] - before[i], whole[i]);
  }
  TW_EACH_STATE(s) increments[s] = Real(real(0));
  for (int i = 0; i < TW_NOISY; ++i) increments[NOISY[i]] = whole[i];
}

}  // namespace tw

#endif
