/* What a run writes down for a derivative along its steps: where each accepted step began, its size,
 * and the states at the first of every `every` steps; the others are computed again from those.
 *
 * Steps of plain runs follow from their number, so only states are kept, a pack side by side. All
 * other rows take chunks of TW_TAPE_CHUNK steps from one pool as they go, each linked to the one
 * before: nobody has to know beforehand how many steps a row will take. When the pool is empty, rows
 * go on counting what they would have taken, so that the host knows how much to give.
 */
#ifndef TWINML_TAPE_H
#define TWINML_TAPE_H

namespace tw {

#define TW_TAPE_CHUNK 16 /* a power of two; `every` divides it */

struct Tape {
  count every;
  real* y;       /* plain: (kept, n, stride); chunks: (chunks, TW_TAPE_CHUNK / every, n) */
  count stride;  /* plain: rows and some more, so that whole packs can be written */
  count chunks;  /* room of the pool */
  count* next;   /* first chunk nobody has taken, also beyond the room */
  count* taken;  /* accepted steps of each row */
  count* last;   /* latest chunk of each row */
  count* link;   /* of each chunk: the chunk before */
  stamp* t;      /* (chunks, TW_TAPE_CHUNK) */
  real* h;       /* (chunks, TW_TAPE_CHUNK), without sign */
};

#if TW_TAPE && TW_PLAIN
/* The states before step i, of packs whose rows follow one another. */
template <class Batch>
TW_FN void tape_block(const Args& args, const Batch* block, int packs, count i) {
  const Tape& tape = *args.tape;
  if (i % tape.every) return;
  real* place = tape.y + i / tape.every * TW_N * tape.stride;
  for (int b = 0; b < packs; ++b)
    TW_EACH_STATE(s) store(place + s * tape.stride + block[b].row[0], block[b].y[s]);
}
#elif TW_TAPE
/* The step that each of these lanes is about to leave behind. */
template <class Pack>
TW_BIG void tape_steps(const Args& args, const Pack& pack, const Real& h, const Mask& accepted) {
  const Tape& tape = *args.tape;
  for (int lane = 0; lane < TW_LANES; ++lane) {
    if (!get(accepted, lane)) continue;
    const count row = pack.book.row[lane];
    const count within = tape.taken[row]++ % TW_TAPE_CHUNK;
    if (within == 0) {
      const count fresh = TW_FETCH_ADD(tape.next, 1);
      if (fresh < tape.chunks) tape.link[fresh] = tape.last[row];
      tape.last[row] = fresh;
    }
    const count chunk = tape.last[row];
    if (chunk >= tape.chunks) continue;
    const count place = chunk * TW_TAPE_CHUNK + within;
    tape.t[place] = get_clock(pack.t, lane);
    tape.h[place] = get(h, lane);
    if (within % tape.every) continue;
    real* y = tape.y + place / tape.every * TW_N;
    for (int s = 0; s < TW_N; ++s) y[s] = get(pack.y[s], lane);
  }
}
#endif

}  // namespace tw

#endif
