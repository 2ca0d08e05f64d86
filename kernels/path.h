/* A step of a pack as a polynomial in time, for save points, guards and quantities.
 * The unit defines TW_TERMS (coefficients: degree + 1) and the method fills them.
 */
#ifndef TWINML_PATH_H
#define TWINML_PATH_H

namespace tw {

/* States whose path is needed in every step: those that guards (GUARD_READS) or quantities
 * (VALUE_READS) look at; all where only samples are taken, in the steps that need it. */
#if TW_EVENTS && TW_FUNCTIONALS
#define TW_WATCHED(s) (GUARD_READS[s] || VALUE_READS[s])
#elif TW_EVENTS
#define TW_WATCHED(s) GUARD_READS[s]
#elif TW_FUNCTIONALS
#define TW_WATCHED(s) VALUE_READS[s]
#else
#define TW_WATCHED(s) true
#endif

struct Path {
  Clock t, t1; /* ends */
  Real h;      /* signed size */
  Real y1[TW_N];
  Real c[TW_TERMS][TW_N]; /* coefficients of theta^j */
};

/* States at theta; the end is the step's own. */
TW_FN void states_at(const Path& path, const Real& theta, Real* y) {
  Mask whole = theta == Real(real(1));
  TW_EACH_STATE(s) {
    Real value = path.c[TW_TERMS - 1][s];
    for (int j = TW_TERMS - 2; j >= 0; --j) value = fma(value, theta, path.c[j][s]);
    y[s] = select(whole, path.y1[s], value);
  }
}

/* One state and its derivative by theta, from the polynomial alone. */
TW_FN void motion_of(const Path& path, int s, const Real& theta, Real& y, Real& rate) {
  Real value = path.c[TW_TERMS - 1][s], slope = Real(real(0));
  for (int j = TW_TERMS - 2; j >= 0; --j) {
    slope = fma(slope, theta, value);
    value = fma(value, theta, path.c[j][s]);
  }
  y = value;
  rate = slope;
}

TW_FN void motion_at(const Path& path, const Real& theta, Real* y, Real* rate) {
  TW_EACH_STATE(s) motion_of(path, s, theta, y[s], rate[s]);
}

/* Time at theta; the end is exact. */
TW_FN Clock time_at(const Path& path, const Real& theta) {
  return pick(theta == Real(real(1)), path.t1, advance(path.t, theta * path.h));
}

/* The path up to theta, where it arrives at t1 with the states there; where `cut`. */
TW_BIG void cut_path(Path& path, const Mask& cut, const Real& theta, const Clock& t1) {
  Real y[TW_N], rate[TW_N];
  motion_at(path, theta, y, rate);
  Real power = Real(real(1));
  for (int j = 0; j < TW_TERMS; ++j) {
    TW_EACH_STATE(s) path.c[j][s] = select(cut, path.c[j][s] * power, path.c[j][s]);
    power = power * theta;
  }
  TW_EACH_STATE(s) path.y1[s] = select(cut, y[s], path.y1[s]);
  path.t1 = pick(cut, t1, path.t1);
  path.h = select(cut, theta * path.h, path.h);
}

}  // namespace tw

#endif
