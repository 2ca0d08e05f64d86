/* One step of an explicit Runge-Kutta method for all rows of a pack. The unit defines the tableau:
 * TW_STAGES, TW_POINT_i(s) = y + h times the sum of a_ij k_j for state s, TW_SUM_END and
 * TW_SUM_ERROR the sums of b_j k_j and of b_error_j k_j, TW_AT_i the time of stage i, TW_FSAL; for the interpolant TW_EXTRA stages
 * TW_SUM_(TW_STAGES + e), and TW_TERM_j(s); for auto TW_NEAR_STAGE, TW_FAR_STAGE.
 */
#ifndef TWINML_ERK_H
#define TWINML_ERK_H

namespace tw {

#define TW_SLOPES (TW_STAGES + TW_EXTRA)

struct Stages {
  Real k[TW_SLOPES][TW_N];
#if TW_HANDOVER
  Real near_point[TW_N]; /* argument of the first of the two stages at the end of the step */
#endif
};

#if TW_HANDOVER
#define TW_KEEP_POINT(i) \
  if (i == TW_NEAR_STAGE) TW_EACH_STATE(s) stages.near_point[s] = z[s];
#else
#define TW_KEEP_POINT(i)
#endif

#define TW_STAGE(i)                                          \
  {                                                          \
    TW_EACH_STATE(s) z[s] = TW_POINT_##i(s);                 \
    TW_KEEP_POINT(i)                                         \
    rhs_at(at, TW_AT_##i, z, k[i]);                          \
  }

/* k[0] is the slope at (t, y). Gives y1 and, for an adaptive method, the error estimate. */
TW_FN void try_step(const Context& at, const Clock& t, const Clock& t1, const Real& h,
                    const Real* y, Stages& stages, Real* y1, Real* error) {
  Real(*k)[TW_N] = stages.k;
  Real z[TW_N];
#if TW_STAGES > 1
  TW_STAGE(1)
#endif
#if TW_STAGES > 2
  TW_STAGE(2)
#endif
#if TW_STAGES > 3
  TW_STAGE(3)
#endif
#if TW_STAGES > 4
  TW_STAGE(4)
#endif
#if TW_STAGES > 5
  TW_STAGE(5)
#endif
#if TW_STAGES > 6
  TW_STAGE(6)
#endif
#if TW_STAGES > 7
  TW_STAGE(7)
#endif
#if TW_STAGES > 8
  TW_STAGE(8)
#endif
#if TW_STAGES > 9
  TW_STAGE(9)
#endif
#if TW_STAGES > 10
#error "more stages than erk.h has lines for"
#endif
#if TW_FSAL
  TW_EACH_STATE(s) y1[s] = z[s];
#else
  TW_EACH_STATE(s) y1[s] = fma(h, TW_SUM_END(s), y[s]);
#endif
#if TW_ADAPTIVE
  TW_EACH_STATE(s) error[s] = h * TW_SUM_ERROR(s);
#endif
}

#if TW_HANDOVER
/* Lanes where h times the dominant eigenvalue has passed the limit: |k_j - k_i| / |Y_j - Y_i| of
 * two stages at one time (Hairer & Wanner 1996, sec. IV.2). */
TW_FN Mask looks_stiff(const Stages& stages, const Real* y1, const Real& h) {
  Real above = Real(real(0)), below = Real(real(0));
  TW_EACH_STATE(s) {
    Real slope = stages.k[TW_FAR_STAGE][s] - stages.k[TW_NEAR_STAGE][s];
    Real point = y1[s] - stages.near_point[s];
    above = fma(slope, slope, above);
    below = fma(point, point, below);
  }
  return (h * h * above > Real(TW_STIFF_LIMIT * TW_STIFF_LIMIT) * below) &
         (below > Real(real(0)));
}
#endif

#if TW_DENSE
#define TW_FILL_STATE(s)  \
  {                       \
    path.c[0][s] = y[s];  \
    TW_FILL_TERMS(s)      \
  }

/* The interpolant's own stages, and the coefficients of the states that are watched. */
TW_FN void fill_path(const Context& at, const Real* y, Stages& stages, Path& path) {
  Real(*k)[TW_N] = stages.k;
  const Real h = path.h;
  const Clock t = path.t, t1 = path.t1;
  (void)t; (void)t1; (void)k;
#if TW_EXTRA
  Real z[TW_N];
  TW_EXTRA_STAGES
#endif
  TW_EACH_STATE(s) if (TW_WATCHED(s)) TW_FILL_STATE(s)
}

/* Those of the others. */
TW_BIG void complete_path(const Real* y, const Stages& stages, Path& path) {
  const Real(*k)[TW_N] = stages.k;
  const Real h = path.h;
  (void)k; (void)h;
  TW_EACH_STATE(s) if (!TW_WATCHED(s)) TW_FILL_STATE(s)
}
#endif

}  // namespace tw

#endif
