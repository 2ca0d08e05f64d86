/* Derivatives of a step of a Rosenbrock method. Each stage solves W U = r, so that its derivative
 * solves W dU = dr - dW U with the same factors; dW holds the derivatives of the Jacobian's entries.
 *
 * Beside what rosenbrock.h asks for, the unit defines TW_C_i, TW_EACH_STAGE(do_) (all stages but the
 * first), the tables ENTRY_ROW and ENTRY_COLUMN of the Jacobian's entries, and jacobian_tangent:
 * derivatives of the slope, of the entries and of the slope's rate in time.
 */
#ifndef TWINML_TANGENT_ROSENBROCK_H
#define TWINML_TANGENT_ROSENBROCK_H

namespace tw {

#define TW_FIRST_SIZE (TW_N + TW_NZ + TW_N) /* of one direction of jacobian_tangent */

/* What dW makes of a stage, and its part of the slope's rate: added to r in x. */
#if TW_AUTONOMOUS
#define TW_MOVE_SLOPE(i)
#else
#define TW_MOVE_SLOPE(i) \
  if (TW_SLOPED_##i)     \
    TW_EACH_STATE(s) x[s] = fma(h * Real(TW_D_##i), first[TW_N + TW_NZ + s], x[s]);
#endif
#if TW_MOVING_TIME && !TW_AUTONOMOUS
#define TW_MOVE_SIZE_SLOPE(i) \
  if (TW_SLOPED_##i)          \
    TW_EACH_STATE(s) x[s] = fma(motion.h[d] * Real(TW_D_##i), stages.derivatives[TW_NZ + s], x[s]);
#else
#define TW_MOVE_SIZE_SLOPE(i)
#endif
#if TW_MOVING_TIME
/* 1/h moves by -dh/h^2; on W's diagonal it is divided by gamma. */
#define TW_MOVE_SIZE(i) \
  TW_MOVE_SIZE_SLOPE(i) \
  TW_EACH_STATE(s) x[s] = fma(shrink * Real(TW_INVERSE_GAMMA), stages.k[i][s], x[s]);
#define TW_MOVE_FEED(i)                                                         \
  {                                                                             \
    const Real(*k)[TW_N] = stages.k;                                            \
    TW_EACH_STATE(s) x[s] = fnma(shrink, TW_FEED_##i(s), x[s]);                 \
  }
#define TW_MOVE_TIME(i) \
  TW_EACH_DIRECTION(d) st[d] = fma(Real(TW_C_##i), motion.h[d], motion.t[d]);
#define TW_SHRINK_OF(d) const Real shrink = motion.h[d] * inverse * inverse;
#else
#define TW_MOVE_SIZE(i)
#define TW_MOVE_FEED(i)
#define TW_MOVE_TIME(i)
#define TW_SHRINK_OF(d)
#endif

#define TW_MOVE_SYSTEM(i)                                                              \
  TW_MOVE_SLOPE(i)                                                                     \
  for (int e = 0; e < TW_NZ; ++e)                                                      \
    x[ENTRY_ROW[e]] = fma(first[TW_N + e], stages.k[i][ENTRY_COLUMN[e]], x[ENTRY_ROW[e]]); \
  TW_MOVE_SIZE(i)                                                                      \
  solve(stages.factors, x);

#define TW_MOVE_STAGE(i)                                            \
  {                                                                 \
    {                                                               \
      const Real* y = pack.y;                                       \
      const Real(*k)[TW_N] = stages.k;                              \
      TW_EACH_STATE(s) z[s] = TW_MOVE_##i(s);                       \
    }                                                               \
    TW_EACH_DIRECTION(d) {                                          \
      const Real* y = pack.dy + d * TW_N;                           \
      Real* z = dz + d * TW_N;                                      \
      const Row* k = (const Row*)(dk[0] + d * TW_N);                \
      TW_EACH_STATE(s) z[s] = TW_MOVE_##i(s);                       \
    }                                                               \
    TW_MOVE_TIME(i)                                                 \
    tangent_at(pack.at, TW_AT_##i, z, st, dz, dk[i]);               \
    TW_EACH_DIRECTION(d) {                                          \
      const Row* k = (const Row*)(dk[0] + d * TW_N);                \
      const Real* first = begin + d * TW_FIRST_SIZE;                \
      Real* x = dk[i] + d * TW_N;                                   \
      TW_SHRINK_OF(d)                                               \
      TW_EACH_STATE(s) x[s] = fma(inverse, TW_FEED_##i(s), x[s]);   \
      TW_MOVE_FEED(i)                                               \
      TW_MOVE_SYSTEM(i)                                             \
    }                                                               \
  }

/* Derivatives of a step that was accepted. */
TW_FN void move_step(const Pack& pack, const Target& target, const Real& h, const Stages& stages,
                     bool dense, Motion& motion) {
  typedef Real Row[TW_MANY_STATES];
  Row dk[TW_STAGES];
  Real z[TW_N], dz[TW_MANY_STATES], begin[TW_DIRECTIONS * TW_FIRST_SIZE];
  const Clock t = pack.t, t1 = target.t1;
  (void)t; (void)t1; (void)dense;
  const Real one = Real(real(1));
#if TW_ADAPTIVE
  const Real inverse = one / h;
#else
  const Mask still = h == Real(real(0));
  const Real inverse = one / select(still, one, h);
#endif
#if TW_MOVING_TIME
  Real st[TW_DIRECTIONS];
  move_ends(pack, target.clipped, motion);
#else
  const Real* st = nullptr;
#endif
  {
    TW_INPUTS_AT(pack.at, t, u)
#if TW_LINEAR && TW_MOVING_U
    Real su[TW_DIRECTIONS * TW_MOVING_U];
    const Real* sr = pack.at.mr;
    inputs_moving(pack.at, t, TW_TIME_SEEDS(pack), su);
#else
    const Real *su = pack.at.mu, *sr = nullptr;
#endif
    jacobian_tangent(now(t), pack.y, pack.at.p, u, pack.at.c, pack.at.w, pack.at.du,
                     TW_TIME_SEEDS(pack), pack.dy, pack.at.mp, su, sr, begin);
  }
  TW_EACH_DIRECTION(d) {
    const Real* first = begin + d * TW_FIRST_SIZE;
    Real* x = dk[0] + d * TW_N;
    TW_SHRINK_OF(d)
    TW_EACH_STATE(s) x[s] = first[s];
    TW_MOVE_SYSTEM(0)
  }
  TW_EACH_STAGE(TW_MOVE_STAGE)
  TW_EACH_DIRECTION(d) {
    const Real* y = pack.dy + d * TW_N;
    const Real* z = dz + d * TW_N;
    const Row* k = (const Row*)(dk[0] + d * TW_N);
    (void)y; (void)z;
    TW_EACH_STATE(s) motion.y1[d * TW_N + s] = TW_SUM_END(s);
#if !TW_ADAPTIVE
    TW_EACH_STATE(s) motion.y1[d * TW_N + s] = select(still, y[s], motion.y1[d * TW_N + s]);
#endif
#if TW_DENSE
    MovingPath& path = motion.path[d];
    TW_EACH_STATE(s) {
      path.c[0][s] = y[s];
      TW_FILL_TERMS(s)
    }
#endif
  }
}

}  // namespace tw

#endif
