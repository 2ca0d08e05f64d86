/* Layers of a network followed backward: x = w^T g, and the sums over many evaluations of the outer
 * products of g with a layer's operand, which are the derivative by its weights.
 *
 * Evaluations lie TW_SLOT numbers apart. Each sum runs through them in their order, one fma each, and
 * goes on from what `total` holds: how many are summed at once does not matter to the bits. A block
 * of sums stays in registers while the evaluations go by.
 */
#ifndef TW_OUTER_H
#define TW_OUTER_H

#include "linear.h"
#include "table.h"

namespace tw {

/* Rows and columns of a block of sums: with what they are made of they fit the registers. */
#ifdef __CUDACC__
#define TW_OUTER_ROWS 4
#define TW_OUTER_COLUMNS 4
#elif defined(__AVX512F__) || defined(__aarch64__)
#define TW_OUTER_ROWS (TW_REGS == 1 ? 5 : 2)
#define TW_OUTER_COLUMNS (TW_REGS == 1 ? 4 : 3)
#else
#define TW_OUTER_ROWS (TW_REGS == 1 ? 3 : TW_REGS == 2 ? 2 : 1)
#define TW_OUTER_COLUMNS (TW_REGS == 1 ? 3 : 2)
#endif

template <int SIZE>
TW_FN Real total(const Real* x) {
  Real sum = x[0];
  for (int i = 1; i < SIZE; ++i) sum = sum + x[i];
  return sum;
}

template <int B>
TW_FN void sums_zero(Sums<B>& s) {
  if constexpr (B > 0) {
    sums_zero(s.rest);
    s.sum = Real(real(0));
  }
}

template <int B, int OUT, int IN>
TW_FN void transposed_block(const real* w, const Real* g, Real* x) {
  Sums<B> s;
  sums_zero(s);
  for (int j = 0; j < OUT; ++j) sums_add<1>(s, w + j * IN, g[j]);
  sums_store(s, x);
}

template <int OUT, int IN>
TW_BIG void transposed(const real* w, const Real* g, Real* x) {
  constexpr int blocks = IN / TW_BLOCK, left = IN % TW_BLOCK;
  TW_UNROLL for (int k = 0; k < blocks; ++k)
    transposed_block<TW_BLOCK, OUT, IN>(w + k * TW_BLOCK, g, x + k * TW_BLOCK);
  if constexpr (left > 0)
    transposed_block<left, OUT, IN>(w + blocks * TW_BLOCK, g, x + blocks * TW_BLOCK);
}

/* B rows of C sums. */
template <int B, int C>
struct Grid {
  Grid<B - 1, C> rest;
  Sums<C> row;
};
template <int C>
struct Grid<0, C> {};

template <int C>
TW_FN void sums_load(Sums<C>& s, const Real* from) {
  if constexpr (C > 0) {
    sums_load(s.rest, from);
    s.sum = from[C - 1];
  }
}

template <int C>
TW_FN void sums_fma(Sums<C>& s, const Real& g, const Sums<C>& x) {
  if constexpr (C > 0) {
    sums_fma(s.rest, g, x.rest);
    s.sum = fma(g, x.sum, s.sum);
  }
}

template <int STRIDE, int B, int C>
TW_FN void grid_load(Grid<B, C>& grid, const Real* from) {
  if constexpr (B > 0) {
    grid_load<STRIDE>(grid.rest, from);
    sums_load(grid.row, from + (B - 1) * STRIDE);
  }
}

template <int STRIDE, int B, int C>
TW_FN void grid_store(const Grid<B, C>& grid, Real* to) {
  if constexpr (B > 0) {
    grid_store<STRIDE>(grid.rest, to);
    sums_store(grid.row, to + (B - 1) * STRIDE);
  }
}

template <int B, int C>
TW_FN void grid_add(Grid<B, C>& grid, const Real* g, const Sums<C>& x) {
  if constexpr (B > 0) {
    grid_add(grid.rest, g, x);
    sums_fma(grid.row, g[B - 1], x);
  }
}

template <int B, int C, int IN>
TW_FN void outer_block(const Real* g, const Real* x, int count, Real* total) {
  Grid<B, C> grid;
  grid_load<IN>(grid, total);
  for (int k = 0; k < count; ++k) {
    Sums<C> row;
    sums_load(row, x + k * TW_SLOT);
    grid_add(grid, g + k * TW_SLOT, row);
  }
  grid_store<IN>(grid, total);
}

template <int B, int IN>
TW_FN void outer_rows(const Real* g, const Real* x, int count, Real* total) {
  constexpr int C = TW_OUTER_COLUMNS, left = IN % C;
  TW_ONE_BY_ONE for (int i = 0; i + C <= IN; i += C)
    outer_block<B, C, IN>(g, x + i, count, total + i);
  if constexpr (left > 0) outer_block<B, left, IN>(g, x + IN - left, count, total + IN - left);
}

/* total (OUT, IN) += g x^T of `count` evaluations. */
template <int OUT, int IN>
TW_BIG void outer(const Real* g, const Real* x, int count, Real* total) {
  constexpr int B = TW_OUTER_ROWS, left = OUT % B;
  TW_ONE_BY_ONE for (int j = 0; j + B <= OUT; j += B)
    outer_rows<B, IN>(g + j, x, count, total + j * IN);
  if constexpr (left > 0) {
    const int j = OUT - left;
    outer_rows<left, IN>(g + j, x, count, total + j * IN);
  }
}

/* total (OUT) += g of `count` evaluations. */
template <int OUT>
TW_BIG void gather(const Real* g, int count, Real* total) {
  for (int j = 0; j < OUT; ++j) {
    Real sum = total[j];
    for (int k = 0; k < count; ++k) sum = sum + g[k * TW_SLOT + j];
    total[j] = sum;
  }
}

/* What the values of a table of K points gain from reads at x, pulled by g. */
template <int K>
TW_BIG void table_gather(const real* knots, const Real* x, const Real* g, int count, Real* total) {
  const Real zero = Real(real(0)), one = Real(real(1));
  for (int k = 0; k < count; ++k) {
    const Real at = x[k * TW_SLOT], bar = g[k * TW_SLOT];
    const Int i = table_interval<K>(knots, at);
    const Real begin = gather(knots, i), end = gather(knots, i + Int(1));
    const Real share = minimum(maximum((at - begin) / (end - begin), zero), one);
    const Real right = share * bar, left = bar - right;
    for (int lane = 0; lane < TW_LANES; ++lane) {
      const int low = int(get(i, lane));
      set(total[low], lane, get(total[low], lane) + get(left, lane));
      set(total[low + 1], lane, get(total[low + 1], lane) + get(right, lane));
    }
  }
}

}  // namespace tw

#endif
