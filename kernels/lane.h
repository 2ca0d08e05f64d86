/* A lane: what one row of a batch computes with. The text of steppers, events and math uses the
 * types Real, Int, Mask and the functions below, and nothing else, so that one text serves the CPU
 * (a pack of TW_LANES rows in TW_REGS vector registers) and CUDA (one row a thread). It is written
 * inside `namespace tw { }`: CUDA has functions of the same names outside.
 *
 *   TW_BITS   64 or 32: real is double or float, integer has the same width
 *   TW_REGS   registers a pack, 1 to 4 (CPU)
 *   TW_LANES  rows a pack
 *
 * Constructors are explicit, Real(0.5), Int(1), Mask(true): `x * 0.5` would compute in double on
 * CUDA where real is float, hence it does not compile here.
 *
 *   + - * /  unary -  += -= *= /=      Real, Int (no division); integers wrap
 *   < <= > >= == !=                    Real, Int -> Mask
 *   & | ^ ! &= |=                      Mask;  & | ^ also Int
 *   any all none                       Mask -> bool
 *   lanes_of count_lanes               Mask -> LaneBits, one where it holds; how many
 *   first_lane(LaneBits)               the lowest of such bits
 *   select(Mask, x, y)                 Real, Int, Mask
 *   masked(Mask, Real)                 the number where the mask holds, else 0
 *   fma(a, b, c)  fnma(a, b, c)        a*b + c  and  c - a*b, rounded once on every target
 *   sqrt abs floor ceil trunc round_even copysign(size, sign)
 *   min max                            `a < b ? a : b` and `a > b ? a : b`, as C writes them
 *   minimum maximum                    nan in, nan out, as torch
 *   isnan isfinite signbit             Real -> Mask
 *   shl(x, k)  shr(x, k)               Int by a number; zeros come in
 *   to_real(Int)  to_int(Real)         exact up to 2^51 (2^31 for 32 bits); to_int truncates
 *   bits(Real) -> Int  from_bits(Int) -> Real
 *   get(x, lane)  set(x, lane, value)  Real, Int, Mask
 *   gather(base, Int)  load(base)  store(base, Real)
 *   FloatMode                          full IEEE arithmetic for the life of the object
 *   TW_NAN TW_INFINITY                 real
 *
 * TW_FN marks a function that is always inlined, TW_MATH one that the compiler may call, TW_BIG one
 * that is always called, TW_TABLE a constant array.
 *
 * A lane's result depends on that lane alone and has the same bits for any width, register count
 * and target. The payload and the sign of a nan are not promised.
 */
#ifndef TW_LANE_H
#define TW_LANE_H

#ifndef TW_BITS
#define TW_BITS 64
#endif

#if TW_BITS != 64 && TW_BITS != 32
#error "TW_BITS must be 64 or 32"
#endif

namespace tw {
#if TW_BITS == 64
typedef double real;
typedef long long integer;
typedef unsigned long long natural;
#else
typedef float real;
typedef int integer;
typedef unsigned int natural;
#endif
}  // namespace tw

#ifdef __CUDACC__
#include "lane_cuda.h"
#else
#include "lane_cpu.h"
#endif

/* What follows from the operations above, in one text for both. */
namespace tw {

TW_FN Mask signbit(Real x) { return bits(x) < Int(0); }
TW_FN Mask isnan(Real x) { return x != x; }

TW_FN Mask isfinite(Real x) {
#if TW_BITS == 64
  return abs(x) <= Real(0x1.fffffffffffffp1023);
#else
  return abs(x) <= Real(0x1.fffffep127f);
#endif
}

/* Of +0 and -0 the first argument is kept; torch's choice between them is not defined either. */
TW_FN Real minimum(Real a, Real b) { return select(isnan(a) | (a <= b), a, b); }
TW_FN Real maximum(Real a, Real b) { return select(isnan(a) | (a >= b), a, b); }

}  // namespace tw

#endif
