/* One step of Euler-Maruyama for all rows of a pack: y + h f + dW g with diagonal Ito noise, or
 * without noise its drift. Kloeden, Platen (1992), eq. 9.1.5. Inside the step the path is the
 * straight line between its ends.
 */
#ifndef TWINML_MARUYAMA_H
#define TWINML_MARUYAMA_H

#if TW_NOISE
#include "philox.h"
#include "normal.h"
#include "brownian.h"
#endif

namespace tw {

struct Stages {};

TW_FN void try_step(const Context& at, const Clock& t, const Clock&, const Real& h, const Real* y,
                    const Real* increments, Stages&, Real* y1) {
  Real drift[TW_N];
  rhs_at(at, t, y, drift);
  TW_EACH_STATE(s) y1[s] = fma(h, drift[s], y[s]);
#if TW_NOISE
  Real spread[TW_N];
  TW_INPUTS_AT(at, t, u)
  noise(now(t), y, at.p, u, at.c, at.w, spread);
  TW_EACH_STATE(s) y1[s] = fma(increments[s], spread[s], y1[s]);
#else
  (void)increments;
#endif
}

#if TW_DENSE
#define TW_FILL_STATE(s)                 \
  {                                      \
    path.c[0][s] = y[s];                 \
    path.c[1][s] = path.y1[s] - y[s];    \
  }

TW_FN void fill_path(const Context&, const Real* y, Stages&, Path& path) {
  TW_EACH_STATE(s) if (TW_WATCHED(s)) TW_FILL_STATE(s)
}

TW_FN void complete_path(const Real* y, const Stages&, Path& path) {
  TW_EACH_STATE(s) if (!TW_WATCHED(s)) TW_FILL_STATE(s)
}
#endif

}  // namespace tw

#endif
