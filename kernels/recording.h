/* Accepted steps, written down for derivatives along them. */
#ifndef TWINML_RECORDING_H
#define TWINML_RECORDING_H

namespace tw {

#if TW_RECORD
/* What a derivative along the steps taken needs: where each began, its size and its arrival. */
TW_BIG void record_steps(const Args& args, const Pack& pack, const Clock& t1, const Real& h,
                         const Mask& clipped, const Mask& accepted) {
  for (int lane = 0; lane < TW_LANES; ++lane) {
    if (!get(accepted, lane)) continue;
    const count place = args.record_place[pack.book.row[lane]]++;
    if (args.record_total == 0) continue; /* the first run only counts */
    args.record_t[place] = get_clock(pack.t, lane);
    args.record_t1[place] = get_clock(t1, lane);
    args.record_h[place] = get(h, lane);
    args.record_clipped[place] = get(clipped, lane);
    for (int s = 0; s < TW_N; ++s)
      args.record_y[s * args.record_total + place] = get(pack.y[s], lane);
  }
}
#endif

}  // namespace tw

#endif
