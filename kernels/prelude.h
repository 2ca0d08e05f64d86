/* What emitted functions are written in. A unit is: its #defines, this file, the emitted functions,
 * and run.h.
 */
#ifndef TWINML_PRELUDE_H
#define TWINML_PRELUDE_H

#include "lane.h"
#include "math.h"
#include "status.h"

namespace tw {
typedef const real* const* Weights;
}

#include "args.h"
#include "clock.h"
#if TW_USES_LINEAR
#include "linear.h"
#endif
#if TW_USES_TABLE
#include "table.h"
#endif

/* Loops over the states, short ones written out by the compiler. */
#if TW_N <= 8
#define TW_EACH_STATE(s) _Pragma("GCC unroll 8") for (int s = 0; s < TW_N; ++s)
#else
#define TW_EACH_STATE(s) for (int s = 0; s < TW_N; ++s)
#endif

#endif
