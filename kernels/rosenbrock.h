/* One step of a Rosenbrock method for all rows of a pack: the rules of RosenbrockStepper in
 * twinml/engines/stepper.py. One evaluation of rhs with its Jacobian and one factorisation a step.
 *
 * The unit defines TW_STAGES, for stage i > 0 TW_MOVE_i(s) (its states), TW_FEED_i(s) (sum of
 * C_ij U_j), TW_AT_i (its time), TW_D_i and TW_SLOPED_i (whether that is not zero), TW_D_0,
 * TW_SLOPED_0; TW_SUM_END(s) (states at the end), TW_SUM_ERROR(s), TW_INVERSE_GAMMA,
 * TW_AUTONOMOUS (df/dt is zero by structure), TW_NZ (entries of the Jacobian), TW_FILL_TERMS;
 * and the functions rhs_jacobian, factor and solve.
 */
#ifndef TWINML_ROSENBROCK_H
#define TWINML_ROSENBROCK_H

#if TW_LU_LOOP
#include "lu.h"
#endif

namespace tw {

struct Stages {
  Real k[TW_STAGES][TW_N]; /* the U_i, in the unit of the states */
#if TW_DIRECTIONS
  Real factors[TW_LU_SIZE], derivatives[TW_NZ + TW_N]; /* for the derivatives of the step */
#endif
};

#if TW_AUTONOMOUS
#define TW_ADD_SLOPE(i)
#else
#define TW_ADD_SLOPE(i) \
  if (TW_SLOPED_##i) TW_EACH_STATE(s) x[s] = fma(h * Real(TW_D_##i), slope[s], x[s]);
#endif

#define TW_STAGE(i)                                                     \
  {                                                                     \
    Real* x = k[i];                                                     \
    TW_EACH_STATE(s) z[s] = TW_MOVE_##i(s);                             \
    rhs_at(at, TW_AT_##i, z, x);                                        \
    TW_EACH_STATE(s) x[s] = fma(inverse, TW_FEED_##i(s), x[s]);         \
    TW_ADD_SLOPE(i)                                                     \
    solve(factors, x);                                                  \
  }

/* Lanes whose system could not be factored although all its entries are finite. */
TW_BIG Mask unsolvable(const Mask& sound, const Real& s, const Real* entries) {
  Real probe = s * Real(real(0));
  for (int e = 0; e < TW_NZ; ++e) probe = fma(entries[e], Real(real(0)), probe);
  return !sound & (probe == Real(real(0)));
}

/* Gives y1, the error estimate, the lanes whose system was solved, and those where it was not
 * although it is finite. */
TW_FN Mask try_step(const Context& at, const Clock& t, const Clock& t1, const Real& h,
                    const Real* y, const Real*, Stages& stages, Real* y1, Real* error,
                    Mask& singular) {
  Real(*k)[TW_N] = stages.k;
  Real z[TW_N];
#if TW_DIRECTIONS
  Real *factors = stages.factors, *derivatives = stages.derivatives;
#else
  Real factors[TW_LU_SIZE], derivatives[TW_NZ + TW_N];
#endif
  const Real one = Real(real(1));
#if TW_ADAPTIVE
  const Real inverse = one / h;
#else
  const Mask still = h == Real(real(0));
  const Real inverse = one / select(still, one, h);
#endif
  const Real diagonal = inverse * Real(TW_INVERSE_GAMMA);
  {
    TW_INPUTS_AT(at, t, u)
    rhs_jacobian(now(t), y, at.p, u, at.c, at.w, one, nullptr, at.du, k[0], derivatives);
  }
  const Real* slope = derivatives + TW_NZ;
  (void)slope;
  const Mask sound = factor(diagonal, derivatives, factors);
  singular = Mask(false);
  if (any(!sound)) singular = unsolvable(sound, diagonal, derivatives);
  {
    Real* x = k[0];
    TW_ADD_SLOPE(0)
    solve(factors, x);
  }
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
#error "more stages than rosenbrock.h has lines for"
#endif
  TW_EACH_STATE(s) y1[s] = TW_SUM_END(s);
#if TW_ADAPTIVE
  TW_EACH_STATE(s) error[s] = TW_SUM_ERROR(s);
  return sound;
#else
  (void)error;
  TW_EACH_STATE(s) y1[s] = select(still, y[s], y1[s]);
  return sound | still;
#endif
}

#if TW_DENSE
/* The coefficients of the method's own interpolant. */
#define TW_FILL_STATE(s)  \
  {                       \
    path.c[0][s] = y[s];  \
    TW_FILL_TERMS(s)      \
  }

TW_FN void fill_path(const Context&, const Real* y, Stages& stages, Path& path) {
  Real(*k)[TW_N] = stages.k;
  TW_EACH_STATE(s) if (TW_WATCHED(s)) TW_FILL_STATE(s)
}

TW_BIG void complete_path(const Real* y, const Stages& stages, Path& path) {
  const Real(*k)[TW_N] = stages.k;
  TW_EACH_STATE(s) if (!TW_WATCHED(s)) TW_FILL_STATE(s)
}
#endif

}  // namespace tw

#endif
