/* A layer of a network: y = b + w x, over weights by pointer, the rows of a pack side by side.
 *
 * w is (OUT, IN) row by row, as torch keeps it; b is null for no bias. Each output is summed from
 * its bias (or 0) on, one fma for each input in their order; a layer of fewer than TW_NARROW
 * outputs sums in four strands (input i in strand i % 4, the bias in the first) and adds them as
 * (0 + 1) + (2 + 3). The order depends on OUT alone, so the bits are the same for any lane.
 *
 * Blocks of outputs stay in registers while the inputs go by: each x is read once a block, and
 * each weight once, as a broadcast operand of its fma. An fma takes four to five cycles and two
 * start in each, so a block holds eight sums or more.
 *
 * On CUDA a layer is part of its caller and written out, so that x and y stay in registers too, and
 * weights come four at a time: one by one their loads would take longer than the arithmetic. The host
 * lets them begin at multiples of 16 bytes.
 */
#ifndef TW_LINEAR_H
#define TW_LINEAR_H

#include "lane.h"

#ifdef __CUDACC__
#define TW_UNROLL _Pragma("unroll")
#else
#define TW_UNROLL
#endif

#define TW_NARROW 8

namespace tw {

/* One pointer for each tensor of the model. */
using Weights = const real* const*;

#ifdef __CUDACC__
#define TW_BLOCK (TW_BITS == 64 ? 8 : 16)
#elif defined(__AVX512F__) || defined(__aarch64__)
#define TW_BLOCK (TW_REGS == 1 ? 16 : TW_REGS == 2 ? 12 : 6)
#else
#define TW_BLOCK (TW_REGS == 1 ? 12 : TW_REGS == 2 ? 6 : 3)
#endif

/* The sums of B outputs, a member each: an array would go through memory. */
template <int B>
struct Sums {
  Sums<B - 1> rest;
  Real sum;
};
template <>
struct Sums<0> {};

template <int B>
TW_FN void sums_start(Sums<B>& s, const real* b) {
  if constexpr (B > 0) {
    sums_start(s.rest, b);
    s.sum = b ? Real(b[B - 1]) : Real(real(0));
  }
}

template <int STRIDE, int B>
TW_FN void sums_add(Sums<B>& s, const real* w, Real x) {
  if constexpr (B > 0) {
    sums_add<STRIDE>(s.rest, w, x);
    s.sum = fma(Real(w[(B - 1) * STRIDE]), x, s.sum);
  }
}

template <int B>
TW_FN void sums_store(const Sums<B>& s, Real* y) {
  if constexpr (B > 0) {
    sums_store(s.rest, y);
    y[B - 1] = s.sum;
  }
}

#ifdef __CUDACC__
/* Four weights that follow one another, all at once where they are aligned. */
struct alignas(16) Four {
  real of[4];
};
TW_FN Four four_of(const real* w) {
  Four found;
#if TW_BITS == 64
  const double2 low = __ldg((const double2*)w), high = __ldg((const double2*)w + 1);
  found.of[0] = low.x; found.of[1] = low.y; found.of[2] = high.x; found.of[3] = high.y;
#else
  const float4 all = __ldg((const float4*)w);
  found.of[0] = all.x; found.of[1] = all.y; found.of[2] = all.z; found.of[3] = all.w;
#endif
  return found;
}

template <int STRIDE, int B>
TW_FN void sums_add_four(Sums<B>& s, const real* w, const Real* x) {
  if constexpr (B > 0) {
    sums_add_four<STRIDE>(s.rest, w, x);
    const Four four = four_of(w + (B - 1) * STRIDE);
    TW_UNROLL for (int k = 0; k < 4; ++k) s.sum = fma(four.of[k], x[k], s.sum);
  }
}
#endif

template <int B, int IN>
TW_FN void linear_block(const real* w, const real* b, const Real* x, Real* y) {
  Sums<B> s;
  sums_start(s, b);
#ifdef __CUDACC__
  if constexpr (IN % 4 == 0) {
    TW_UNROLL for (int i = 0; i < IN; i += 4) sums_add_four<IN>(s, w + i, x + i);
  } else
#endif
  {
    TW_UNROLL for (int i = 0; i < IN; ++i) sums_add<IN>(s, w + i, x[i]);
  }
  sums_store(s, y);
}

template <int IN>
TW_FN Real linear_narrow(const real* w, real b, const Real* x) {
  Real s0 = Real(b), s1 = Real(real(0)), s2 = s1, s3 = s1;
  constexpr int whole = IN / 4 * 4;
  TW_UNROLL for (int i = 0; i < whole; i += 4) {
#ifdef __CUDACC__
    if constexpr (IN % 4 == 0) {
      const Four four = four_of(w + i);
      s0 = fma(four.of[0], x[i], s0);
      s1 = fma(four.of[1], x[i + 1], s1);
      s2 = fma(four.of[2], x[i + 2], s2);
      s3 = fma(four.of[3], x[i + 3], s3);
    } else
#endif
    {
      s0 = fma(Real(w[i]), x[i], s0);
      s1 = fma(Real(w[i + 1]), x[i + 1], s1);
      s2 = fma(Real(w[i + 2]), x[i + 2], s2);
      s3 = fma(Real(w[i + 3]), x[i + 3], s3);
    }
  }
  if constexpr (IN - whole > 0) s0 = fma(Real(w[whole]), x[whole], s0);
  if constexpr (IN - whole > 1) s1 = fma(Real(w[whole + 1]), x[whole + 1], s1);
  if constexpr (IN - whole > 2) s2 = fma(Real(w[whole + 2]), x[whole + 2], s2);
  return (s0 + s1) + (s2 + s3);
}

#ifdef __CUDACC__
#define TW_LAYER TW_FN
#else
#define TW_LAYER TW_BIG
#endif

template <int OUT, int IN>
TW_LAYER void linear(const real* w, const real* b, const Real* x, Real* y) {
  if constexpr (OUT < TW_NARROW) {
    TW_UNROLL for (int j = 0; j < OUT; ++j)
      y[j] = linear_narrow<IN>(w + j * IN, b ? b[j] : real(0), x);
  } else {
    constexpr int blocks = OUT / TW_BLOCK, left = OUT % TW_BLOCK;
    TW_UNROLL for (int k = 0; k < blocks; ++k) {
      const int j = k * TW_BLOCK;
      linear_block<TW_BLOCK, IN>(w + j * IN, b ? b + j : nullptr, x, y + j);
    }
    if constexpr (left > 0) {
      const int j = blocks * TW_BLOCK;
      linear_block<left, IN>(w + j * IN, b ? b + j : nullptr, x, y + j);
    }
  }
}

}  // namespace tw

#endif
