/* Derivatives of a step of Euler-Maruyama without noise, which is one of Euler's method. */
#ifndef TWINML_TANGENT_MARUYAMA_H
#define TWINML_TANGENT_MARUYAMA_H

namespace tw {

TW_FN void move_step(const Pack& pack, const Target& target, const Real& h, const Stages&, bool,
                     Motion& motion) {
  Real slope[TW_MANY_STATES];
  tangent_at(pack.at, pack.t, pack.y, TW_TIME_SEEDS(pack), pack.dy, slope);
  for (int i = 0; i < TW_MANY_STATES; ++i) motion.y1[i] = fma(h, slope[i], pack.dy[i]);
#if TW_MOVING_TIME
  Real drift[TW_N];
  move_ends(pack, target.clipped, motion);
  rhs_at(pack.at, pack.t, pack.y, drift);
  TW_EACH_DIRECTION(d) TW_EACH_STATE(s) {
    Real& end = motion.y1[d * TW_N + s];
    end = fma(motion.h[d], drift[s], end);
  }
#else
  (void)target;
#endif
#if TW_DENSE
  TW_EACH_DIRECTION(d) TW_EACH_STATE(s) {
    const Real begin = pack.dy[d * TW_N + s];
    motion.path[d].c[0][s] = begin;
    motion.path[d].c[1][s] = motion.y1[d * TW_N + s] - begin;
  }
#endif
}

}  // namespace tw

#endif
