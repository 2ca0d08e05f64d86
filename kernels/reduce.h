/* Quantities of many rows together: moments and extremes of blocks of rows, and counts.
 *
 * The arithmetic is that of twinml/solve/moments.py, operation by operation, in float64 whatever
 * the rows were computed in, so the bits are the same: a block is 1024 values in 32 columns, summed
 * down the columns and then pairwise across them. One thread does one block; counts are added up
 * atomically, which is exact in any order. nan counts as nothing, an infinite value in bins and
 * exceedances only.
 */
#ifndef TWINML_REDUCE_H
#define TWINML_REDUCE_H

namespace tw {

typedef long long count;

#define TW_REDUCE_BLOCK 1024
#define TW_REDUCE_COLUMNS 32

#ifdef __CUDACC__
#define TW_COUNT_ONE(place) atomicAdd((unsigned long long*)(place), 1ull)
#else
#define TW_COUNT_ONE(place) __atomic_fetch_add(place, (tw::count)1, __ATOMIC_RELAXED)
#endif

/* As twinml/engines/native/reduce.py lays it out. */
struct ReduceArgs {
  count bytes;  /* sizeof(ReduceArgs) as the host sees it */
  count blocks; /* whole blocks of values */
  const double* values; /* nan for a row without a number */
  const double* edges;  /* rising */
  count edge_count;
  const double* thresholds;
  count threshold_count;
  double* moments;  /* (blocks, 4): count, mean (two numbers), sum of squared deviations */
  double* extremes; /* (blocks, 2): least and largest finite value; left alone without one */
  count* bins;      /* (edge_count + 1): below, in each bin, above */
  count* exceeded;  /* (threshold_count) */
  count* numbers;   /* [2]: values that are no number, infinite values */
};

/* The columns of a block pairwise: 16 and 16, 8 and 8, ... */
TW_FN double sum_columns(double* column) {
  for (int half = TW_REDUCE_COLUMNS / 2; half > 0; half /= 2)
    for (int j = 0; j < half; ++j) column[j] += column[j + half];
  return column[0];
}

/* Which of `bins` a number belongs to: how many edges are not above it, the last edge in the last
 * bin. */
TW_FN count bin_of(const ReduceArgs& args, double x) {
  count low = 0, high = args.edge_count;
  while (low < high) {
    const count middle = (low + high) / 2;
    if (args.edges[middle] <= x) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return x == args.edges[args.edge_count - 1] ? args.edge_count - 1 : low;
}

TW_FN void count_value(const ReduceArgs& args, double x, bool finite) {
  if (x != x) {
    TW_COUNT_ONE(&args.numbers[0]);
    return;
  }
  if (!finite) TW_COUNT_ONE(&args.numbers[1]);
  if (args.edge_count) TW_COUNT_ONE(&args.bins[bin_of(args, x)]);
  for (count k = 0; k < args.threshold_count; ++k)
    if (x > args.thresholds[k]) TW_COUNT_ONE(&args.exceeded[k]);
}

TW_BIG void reduce_block(const ReduceArgs& args, count block) {
  const double* values = args.values + block * TW_REDUCE_BLOCK;
  double column[TW_REDUCE_COLUMNS] = {}, square[TW_REDUCE_COLUMNS] = {};
  double least = 0.0, largest = 0.0;
  count seen = 0;
  for (int i = 0; i < TW_REDUCE_BLOCK; ++i) {
    const double x = values[i];
    const bool finite = x - x == 0.0;
    count_value(args, x, finite);
    column[i % TW_REDUCE_COLUMNS] += finite ? x : 0.0;
    if (!finite) continue;
    least = !seen || x < least ? x : least;
    largest = !seen || x > largest ? x : largest;
    ++seen;
  }
  const double some = seen ? (double)seen : 1.0;
  const double mean = sum_columns(column) / some;
  for (int j = 0; j < TW_REDUCE_COLUMNS; ++j) column[j] = 0.0;
  for (int i = 0; i < TW_REDUCE_BLOCK; ++i) {
    const double x = values[i];
    const double away = x - x == 0.0 ? x - mean : 0.0;
    column[i % TW_REDUCE_COLUMNS] += away;
    square[i % TW_REDUCE_COLUMNS] += away * away;
  }
  const double off = sum_columns(column), squares = sum_columns(square);
  args.moments[4 * block] = (double)seen;
  args.moments[4 * block + 1] = mean;
  args.moments[4 * block + 2] = off / some;
  args.moments[4 * block + 3] = squares - off * off / some;
  if (!seen) return;
  args.extremes[2 * block] = least;
  args.extremes[2 * block + 1] = largest;
}

}  // namespace tw

#ifdef __CUDACC__
extern "C" __global__ void tw_reduce(const tw::ReduceArgs args) {
  const tw::count stride = (tw::count)gridDim.x * blockDim.x;
  for (tw::count b = (tw::count)blockIdx.x * blockDim.x + threadIdx.x; b < args.blocks; b += stride)
    tw::reduce_block(args, b);
}
#else
extern "C" __attribute__((visibility("default"))) int tw_reduce(const tw::ReduceArgs* args) {
  if (args->bytes != (tw::count)sizeof(tw::ReduceArgs)) return 1;
  tw::FloatMode mode;
  for (tw::count block = 0; block < args->blocks; ++block) tw::reduce_block(*args, block);
  return 0;
}
#endif

#endif
