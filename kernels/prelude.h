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

/* Numbers known at compile time, and the queue's counter. */
#ifdef __CUDACC__
#define TW_ONE_BY_ONE
#define TW_FORGET
#define TW_SCALAR_FMA ::fmaf
#define TW_FETCH_ADD(place, n) \
  ((tw::count)atomicAdd((unsigned long long*)(place), (unsigned long long)(n)))
#define TW_TAKE(next, n) tw::take_entries(next, n)
#else
#define TW_ONE_BY_ONE _Pragma("GCC unroll 1")
#define TW_FORGET __asm__ volatile("" ::: "memory");
#define TW_SCALAR_FMA __builtin_fmaf
#define TW_FETCH_ADD(place, n) __atomic_fetch_add(place, (tw::count)(n), __ATOMIC_RELAXED)
#define TW_TAKE(next, n) TW_FETCH_ADD(next, n)
#endif

#include "args.h"
#include "clock.h"
#ifdef __CUDACC__
#include "warp.h"
#endif
#if TW_USES_LINEAR
#include "linear.h"
#endif
#if TW_USES_TABLE
#include "table.h"
#endif
#if TW_STIFF_METHOD
#include "pivot.h"
#endif

/* Loops over the states, short ones written out by the compiler. */
#if defined(__CUDACC__) && TW_N <= 16
#define TW_EACH_STATE(s) _Pragma("unroll") for (int s = 0; s < TW_N; ++s)
#elif TW_N <= 8 && !defined(__CUDACC__)
#define TW_EACH_STATE(s) _Pragma("GCC unroll 8") for (int s = 0; s < TW_N; ++s)
#else
#define TW_EACH_STATE(s) for (int s = 0; s < TW_N; ++s)
#endif

#endif
