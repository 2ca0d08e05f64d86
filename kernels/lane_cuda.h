/* The lane on CUDA: a thread and a scalar. Compiles with NVRTC, without headers. Every operation is
 * the one of the correctly rounded instruction, whatever the flags for contraction and division. */
#ifndef TW_LANE_CUDA_H
#define TW_LANE_CUDA_H

#define TW_LANES 1
#define TW_GRID_CONSTANT __grid_constant__
#define TW_FN __device__ static __forceinline__
#define TW_MATH __device__ static inline
#define TW_BIG __device__ static __noinline__
#define TW_TABLE __device__ static const
#if TW_BITS == 64
#define TW_NAN __longlong_as_double(0x7ff8000000000000LL)
#define TW_INFINITY __longlong_as_double(0x7ff0000000000000LL)
#else
#define TW_NAN __int_as_float(0x7fc00000)
#define TW_INFINITY __int_as_float(0x7f800000)
#endif

namespace tw {

typedef real Real;
typedef integer Int;
typedef bool Mask;

struct FloatMode {};

TW_FN bool any(Mask m) { return m; }
TW_FN bool all(Mask m) { return m; }
TW_FN bool none(Mask m) { return !m; }
typedef unsigned LaneBits;
TW_FN LaneBits lanes_of(Mask m) { return m; }
TW_FN int first_lane(LaneBits) { return 0; }
TW_FN int count_lanes(Mask m) { return m; }

TW_FN Real masked(Mask m, Real x) { return m ? x : Real(0); }
TW_FN Real select(Mask m, Real x, Real y) { return m ? x : y; }
TW_FN Int select(Mask m, Int x, Int y) { return m ? x : y; }
TW_FN Mask select(Mask m, Mask x, Mask y) { return m ? x : y; }

#if TW_BITS == 64
TW_FN Real fma(Real a, Real b, Real c) { return __fma_rn(a, b, c); }
TW_FN Real sqrt(Real x) { return __dsqrt_rn(x); }
TW_FN Real abs(Real x) { return ::fabs(x); }
TW_FN Real floor(Real x) { return ::floor(x); }
TW_FN Real ceil(Real x) { return ::ceil(x); }
TW_FN Real trunc(Real x) { return ::trunc(x); }
TW_FN Real round_even(Real x) { return ::rint(x); }
TW_FN Real copysign(Real size, Real sign) { return ::copysign(size, sign); }
TW_FN Int bits(Real x) { return __double_as_longlong(x); }
TW_FN Real from_bits(Int x) { return __longlong_as_double(x); }
TW_FN Int shl(Int x, int k) { return (Int)((unsigned long long)x << k); }
TW_FN Int shr(Int x, int k) { return (Int)((unsigned long long)x >> k); }
#else
TW_FN Real fma(Real a, Real b, Real c) { return __fmaf_rn(a, b, c); }
TW_FN Real sqrt(Real x) { return __fsqrt_rn(x); }
TW_FN Real abs(Real x) { return ::fabsf(x); }
TW_FN Real floor(Real x) { return ::floorf(x); }
TW_FN Real ceil(Real x) { return ::ceilf(x); }
TW_FN Real trunc(Real x) { return ::truncf(x); }
TW_FN Real round_even(Real x) { return ::rintf(x); }
TW_FN Real copysign(Real size, Real sign) { return ::copysignf(size, sign); }
TW_FN Int bits(Real x) { return __float_as_int(x); }
TW_FN Real from_bits(Int x) { return __int_as_float(x); }
TW_FN Int shl(Int x, int k) { return (Int)((unsigned)x << k); }
TW_FN Int shr(Int x, int k) { return (Int)((unsigned)x >> k); }
#endif

TW_FN Real fnma(Real a, Real b, Real c) { return fma(-a, b, c); }
TW_FN Real min(Real a, Real b) { return a < b ? a : b; }
TW_FN Real max(Real a, Real b) { return a > b ? a : b; }
TW_FN Int min(Int a, Int b) { return a < b ? a : b; }
TW_FN Int max(Int a, Int b) { return a > b ? a : b; }
TW_FN Real to_real(Int x) { return (Real)x; }
TW_FN Int to_int(Real x) { return (Int)x; }

TW_FN real get(Real x, int) { return x; }
TW_FN integer get(Int x, int) { return x; }
TW_FN bool get(Mask m, int) { return m; }
TW_FN void set(Real& x, int, real value) { x = value; }
TW_FN void set(Int& x, int, integer value) { x = value; }
TW_FN void set(Mask& m, int, bool value) { m = value; }

TW_FN Real gather(const real* base, Int index) { return base[index]; }
TW_FN Real load(const real* base) { return *base; }
TW_FN void store(real* base, Real x) { *base = x; }

}  // namespace tw

#endif
