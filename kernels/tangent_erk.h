/* Derivatives of a step of an explicit Runge-Kutta method, stage by stage behind the step itself.
 *
 * Beside what erk.h asks for, the unit defines TW_C_i, the share of the step at which stage i stands,
 * TW_EACH_STAGE(do_), all stages but the first, and TW_EACH_EXTRA_STAGE(do_), those of the interpolant
 * alone, with their TW_POINT_i, TW_AT_i and TW_C_i.
 */
#ifndef TWINML_TANGENT_ERK_H
#define TWINML_TANGENT_ERK_H

namespace tw {

#if TW_MOVING_TIME
#define TW_MOVE_TIME(i) \
  TW_EACH_DIRECTION(d) st[d] = fma(Real(TW_C_##i), motion.h[d], motion.t[d]);
/* The part of a point's derivative that comes from the size of the step. */
#define TW_MOVE_BASE(i)                                 \
  {                                                     \
    const Real(*k)[TW_N] = stages.k;                    \
    const Real h = motion.h[d];                         \
    TW_EACH_STATE(s) base[s] = TW_POINT_##i(s);         \
  }                                                     \
  y = base;
#else
#define TW_MOVE_TIME(i)
#define TW_MOVE_BASE(i)
#endif

#define TW_MOVE_STAGE(i)                                            \
  {                                                                 \
    {                                                               \
      const Real* y = pack.y;                                       \
      const Real(*k)[TW_N] = stages.k;                              \
      TW_EACH_STATE(s) z[s] = TW_POINT_##i(s);                      \
    }                                                               \
    TW_EACH_DIRECTION(d) {                                          \
      const Real* y = pack.dy + d * TW_N;                           \
      TW_MOVE_BASE(i)                                               \
      const Row* k = (const Row*)(dk[0] + d * TW_N);                \
      TW_EACH_STATE(s) dz[d * TW_N + s] = TW_POINT_##i(s);          \
    }                                                               \
    TW_MOVE_TIME(i)                                                 \
    tangent_at(pack.at, TW_AT_##i, z, st, dz, dk[i]);               \
  }

/* Derivatives of a step that was accepted; of its path where `dense`. */
TW_FN void move_step(const Pack& pack, const Target& target, const Real& h, const Stages& stages,
                     bool dense, Motion& motion) {
  typedef Real Row[TW_MANY_STATES];
  Row dk[TW_SLOPES];
  Real z[TW_N], dz[TW_MANY_STATES];
  const Clock t = pack.t, t1 = target.t1;
  (void)t; (void)t1; (void)dense;
#if TW_MOVING_TIME
  Real st[TW_DIRECTIONS], base[TW_N];
  move_ends(pack, target.clipped, motion);
#else
  const Real* st = nullptr;
#endif
#if TW_FSAL
  for (int i = 0; i < TW_MANY_STATES; ++i) dk[0][i] = pack.dk1[i];
#else
  tangent_at(pack.at, t, pack.y, TW_TIME_SEEDS(pack), pack.dy, dk[0]);
#endif
  TW_EACH_STAGE(TW_MOVE_STAGE)
#if TW_FSAL
  for (int i = 0; i < TW_MANY_STATES; ++i) {
    motion.y1[i] = dz[i];
    motion.k1[i] = dk[TW_STAGES - 1][i];
  }
#else
  TW_EACH_DIRECTION(d) {
    const Row* own = (const Row*)(dk[0] + d * TW_N);
    TW_EACH_STATE(s) {
      Real end = pack.dy[d * TW_N + s];
#if TW_MOVING_TIME
      {
        const Real(*k)[TW_N] = stages.k;
        end = fma(motion.h[d], TW_SUM_END(s), end);
      }
#endif
      const Row* k = own;
      motion.y1[d * TW_N + s] = fma(h, TW_SUM_END(s), end);
    }
  }
#endif
#if TW_DENSE
  if (!dense) return;
  TW_EACH_EXTRA_STAGE(TW_MOVE_STAGE)
  TW_EACH_DIRECTION(d) {
    MovingPath& path = motion.path[d];
    TW_EACH_STATE(s) {
      path.c[0][s] = pack.dy[d * TW_N + s];
      const Row* k = (const Row*)(dk[0] + d * TW_N);
      TW_FILL_TERMS(s)
    }
#if TW_MOVING_TIME
    MovingPath longer;
    {
      MovingPath& path = longer;
      const Real(*k)[TW_N] = stages.k;
      const Real h = motion.h[d];
      TW_EACH_STATE(s) { TW_FILL_TERMS(s) }
    }
    for (int j = 1; j < TW_TERMS; ++j)
      TW_EACH_STATE(s) path.c[j][s] = path.c[j][s] + longer.c[j][s];
#endif
  }
#endif
}

}  // namespace tw

#endif
