/* The entry point of a unit: included last, after the emitted functions.
 *
 * Defined by the unit (0 or 1 unless said otherwise): TW_BITS, TW_N, TW_P, TW_U, TW_CONSTANTS, TW_SIGNALS,
 * TW_CHANGES, TW_LINEAR (some signal is linear), TW_ADAPTIVE, TW_HANDOVER (rows that turn stiff
 * leave), TW_SAVE (keep trajectories), TW_EVENTS (how many), TW_FUNCTIONALS (how many), TW_NOISE,
 * TW_TAPE (steps are written down for a derivative; undefined for 0), TW_M (outputs that are observed), TW_STIFF_METHOD, TW_STOCHASTIC, TW_DENSE (the interpolant is needed), TW_TERMS, TW_PLAIN (fixed
 * steps of which all rows take the same ones). What events.h and quantities.h read stands there.
 */
#ifndef TWINML_RUN_H
#define TWINML_RUN_H

#include "forcing.h"
#include "path.h"
#if TW_ADAPTIVE
#include "control.h"
#else
#define TW_STIFF (1 << 30)
#endif
#if TW_EVENTS
#include "events.h"
#endif
#if TW_FUNCTIONALS
#include "quantities.h"
#endif
#include "pack.h"
#if TW_DIRECTIONS
#include "tangent.h"
#endif
#include "saving.h"
#if TW_FUNCTIONALS
#include "functionals.h"
#endif
#if TW_EVENTS
#if TW_DIRECTIONS
#include "tangent_events.h"
#endif
#include "settle.h"
#endif
#if TW_STIFF_METHOD
#include "rosenbrock.h"
#elif TW_STOCHASTIC
#include "maruyama.h"
#else
#include "erk.h"
#endif

#define TW_CLIP_SHARE real(TW_BITS == 64 ? 1e-10 : 1e-6)
#define TW_TICK_SHARE real(TW_BITS == 64 ? 1e-9 : 1e-6)

#if TW_TAPE
#include "tape.h"
#endif
#if TW_PLAIN
#include "plain.h"
#else
#include "queue.h"
#include "recording.h"
#include "target.h"
#if TW_DIRECTIONS && TW_STIFF_METHOD
#include "tangent_rosenbrock.h"
#elif TW_DIRECTIONS && TW_STOCHASTIC
#include "tangent_maruyama.h"
#elif TW_DIRECTIONS
#include "tangent_erk.h"
#endif
#include "loop.h"
#endif

#ifdef __CUDACC__
/* The host names the size that it fills; the arguments come by value, in constant memory. */
static_assert(sizeof(tw::Args) == TW_ARGS_BYTES, "the host lays out the arguments in another way");
extern "C" __global__ void tw_run(const TW_GRID_CONSTANT tw::Args args) { tw::work(args); }
#else
extern "C" __attribute__((visibility("default"))) int tw_run(const tw::Args* args) {
  if (args->bytes != (tw::count)sizeof(tw::Args)) return 1;
  tw::FloatMode mode;
  tw::work(*args);
  return 0;
}
#endif

#if TW_M
#include "observe.h"
#endif

#endif
