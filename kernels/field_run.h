/* The entries of a field kernel: cells are handed out, packed and swept. A unit gives before
 *
 *   struct Forward, Tangent and, with FD_VJP, Adjoint, each with
 *   template <class Place> static void at(const Place& place, Real* sums);
 *
 * which computes one pack, writes its results and, for Adjoint, adds to the sums of coefficients.
 */
#ifndef TWINML_FIELD_RUN_H
#define TWINML_FIELD_RUN_H

namespace tw {

#define FD_SUMS (FD_COEFFICIENTS > 0 ? FD_COEFFICIENTS : 1)

TW_FN count least(count a, count b) { return a < b ? a : b; }

TW_FN bool within(count x, count n) { return x >= FD_REACH && x + FD_REACH < n; }

#if TW_LANES > 1

/* Rows of a block and cells of a share: a line of cells then runs through memory, and what is read
 * three times is still near. */
#define FD_BLOCK 256
#define FD_SHARE 8192

TW_FN void clear(Real* sums) {
  for (int k = 0; k < FD_COEFFICIENTS; ++k) sums[k] = Real(real(0));
}

/* Lanes are cells: one tile of one row. */
template <class Task>
TW_FN void sweep_cells(const FieldArgs& args, count row, count tile) {
  const count cells = args.nx * args.ny, stop = least(cells, (tile + 1) * args.tile);
  Real sums[FD_SUMS];
  clear(sums);
  for (count c = tile * args.tile; c < stop;) {
    const count y = FD_DIMENSIONS == 1 ? 0 : c / args.nx, start = y * args.nx;
    const count end = least(stop - start, args.nx);
    const bool yin = FD_DIMENSIONS == 1 || within(y, args.ny);
    count x = c - start;
    while (x < end) {
      if (x >= FD_REACH) {
        const count most = least(end, args.nx - FD_REACH) - TW_LANES;
        if (yin) {
          for (; x <= most; x += TW_LANES)
            Task::at(Site<false, true, true, true>{args, row, x, y, TW_LANES}, sums);
        } else {
          for (; x <= most; x += TW_LANES)
            Task::at(Site<false, true, false, true>{args, row, x, y, TW_LANES}, sums);
        }
        if (x >= end) break;
      }
      const int lanes = (int)least(TW_LANES, end - x);
      Task::at(Site<false, false, false, false>{args, row, x, y, lanes}, sums);
      x += lanes;
    }
    c = start + end;
  }
  if (args.sums != nullptr) {
    for (int k = 0; k < FD_COEFFICIENTS; ++k) {
      real total = 0;
      for (int lane = 0; lane < TW_LANES; ++lane) total += get(sums[k], lane);
      args.sums[(tile * FD_COEFFICIENTS + k) * args.rows + row] = total;
    }
  }
}

/* Lanes are rows: one tile of one block of rows. */
template <class Task>
TW_FN void sweep_rows(const FieldArgs& args, count block, count tile) {
  const count cells = args.nx * args.ny, stop = least(cells, (tile + 1) * args.tile);
  const count begin = block * FD_BLOCK, end = least(args.rows, begin + FD_BLOCK);
  Real sums[FD_BLOCK / TW_LANES + 1][FD_SUMS];
  for (int pack = 0; pack <= FD_BLOCK / TW_LANES; ++pack) clear(sums[pack]);
  for (count c = tile * args.tile; c < stop; ++c) {
    const count y = FD_DIMENSIONS == 1 ? 0 : c / args.nx, x = c - y * args.nx;
    count row = begin;
    int pack = 0;
    if (within(x, args.nx) && (FD_DIMENSIONS == 1 || within(y, args.ny))) {
      for (; row + TW_LANES <= end; row += TW_LANES, ++pack)
        Task::at(Site<true, true, true, true>{args, row, x, y, TW_LANES}, sums[pack]);
    } else {
      for (; row + TW_LANES <= end; row += TW_LANES, ++pack)
        Task::at(Site<true, false, false, true>{args, row, x, y, TW_LANES}, sums[pack]);
    }
    if (row < end)
      Task::at(Site<true, false, false, false>{args, row, x, y, (int)(end - row)}, sums[pack]);
  }
  if (args.sums != nullptr) {
    for (int k = 0; k < FD_COEFFICIENTS; ++k) {
      real* out = args.sums + (tile * FD_COEFFICIENTS + k) * args.rows;
      for (count row = begin; row < end; ++row)
        out[row] = get(sums[(row - begin) / TW_LANES][k], (int)((row - begin) % TW_LANES));
    }
  }
}

/* Shares of the work, taken until none is left; any number of threads may call. */
template <class Task>
static __attribute__((noinline)) void sweep(const FieldArgs& given) {
  const FieldArgs args = given; /* a copy of one's own: no store can reach it */
  const count cells = args.nx * args.ny, tiles = (cells + args.tile - 1) / args.tile;
  const count groups = args.along_rows ? (args.rows + FD_BLOCK - 1) / FD_BLOCK : args.rows;
  const count work = least(cells, args.tile) * (args.along_rows ? least(FD_BLOCK, args.rows) : 1);
  const count share = work >= FD_SHARE ? 1 : FD_SHARE / work;
  for (;;) {
    count item = __atomic_fetch_add(given.next, share, __ATOMIC_RELAXED);
    const count stop = least(groups * tiles, item + share);
    if (item >= stop) return;
    for (; item < stop; ++item) {
      if (args.along_rows)
        sweep_rows<Task>(args, item / tiles, item % tiles);
      else
        sweep_cells<Task>(args, item / tiles, item % tiles);
    }
  }
}

#define FD_ENTRY(name, Task)                                                              \
  extern "C" __attribute__((visibility("default"))) int name(const tw::FieldArgs* args) { \
    tw::FloatMode mode;                                                                   \
    (void)mode;                                                                           \
    tw::sweep<tw::Task>(*args);                                                           \
    return 0;                                                                             \
  }

#else

/* Threads of a block; a block whose sums are added has as many. */
#ifndef FD_THREADS
#define FD_THREADS 256
#endif

/* The cell of a thread. */
template <class Task>
TW_FN void visit(const FieldArgs& args, count row, count cell, Real* sums) {
  const count y = FD_DIMENSIONS == 1 ? 0 : cell / args.nx, x = cell - y * args.nx;
  if (within(x, args.nx) && (FD_DIMENSIONS == 1 || within(y, args.ny)))
    Task::at(Site<true, true, true, true>{args, row, x, y, 1}, sums);
  else
    Task::at(Site<true, false, false, true>{args, row, x, y, 1}, sums);
}

/* One thread for each cell of each row, those next in memory side by side. */
template <class Task>
TW_FN void sweep(const FieldArgs& args) {
  const count cells = args.nx * args.ny, total = cells * args.rows;
  const count stride = (count)gridDim.x * blockDim.x;
  for (count k = (count)blockIdx.x * blockDim.x + threadIdx.x; k < total; k += stride) {
    Real sums[FD_SUMS];
    if (args.along_rows)
      visit<Task>(args, k % args.rows, k / args.rows, sums);
    else
      visit<Task>(args, k / cells, k % cells, sums);
  }
}

/* With sums: memory along rows, a thread goes through one tile of one row; along cells, a block does,
 * and adds its threads' sums as a tree, in an order that does not change. */
template <class Task>
TW_FN void sweep_summed(const FieldArgs& args, real* shared) {
  const count cells = args.nx * args.ny, tiles = (cells + args.tile - 1) / args.tile;
  Real sums[FD_SUMS];
  if (args.along_rows) {
    const count stride = (count)gridDim.x * blockDim.x;
    for (count k = (count)blockIdx.x * blockDim.x + threadIdx.x; k < tiles * args.rows; k += stride) {
      const count row = k % args.rows, tile = k / args.rows;
      const count stop = least(cells, (tile + 1) * args.tile);
      for (int n = 0; n < FD_COEFFICIENTS; ++n) sums[n] = Real(0);
      for (count cell = tile * args.tile; cell < stop; ++cell) visit<Task>(args, row, cell, sums);
      for (int n = 0; n < FD_COEFFICIENTS; ++n)
        args.sums[(tile * FD_COEFFICIENTS + n) * args.rows + row] = sums[n];
    }
    return;
  }
  const int me = (int)threadIdx.x;
  for (count k = blockIdx.x; k < tiles * args.rows; k += gridDim.x) {
    const count row = k / tiles, tile = k % tiles, stop = least(cells, (tile + 1) * args.tile);
    for (int n = 0; n < FD_COEFFICIENTS; ++n) sums[n] = Real(0);
    for (count cell = tile * args.tile + me; cell < stop; cell += FD_THREADS)
      visit<Task>(args, row, cell, sums);
    for (int n = 0; n < FD_COEFFICIENTS; ++n) {
      shared[me] = sums[n];
      __syncthreads();
      for (int half = FD_THREADS / 2; half > 0; half /= 2) {
        if (me < half) shared[me] += shared[me + half];
        __syncthreads();
      }
      if (me == 0) args.sums[(tile * FD_COEFFICIENTS + n) * args.rows + row] = shared[0];
      __syncthreads();
    }
  }
}

#define FD_ENTRY(name, Task)                                                                \
  extern "C" __global__ void __launch_bounds__(FD_THREADS) name(const tw::FieldArgs args) { \
    tw::sweep<tw::Task>(args);                                                              \
  }
#define FD_SUMMED_ENTRY(name, Task)                                                         \
  extern "C" __global__ void __launch_bounds__(FD_THREADS) name(const tw::FieldArgs args) { \
    __shared__ tw::real shared[FD_THREADS];                                                 \
    tw::sweep_summed<tw::Task>(args, shared);                                               \
  }

#endif

}  // namespace tw

FD_ENTRY(tw_field_forward, Forward)
#if FD_TANGENT
FD_ENTRY(tw_field_tangent, Tangent)
#endif
#if FD_VJP
#if defined(FD_SUMMED_ENTRY) && FD_COEFFICIENTS > 0
FD_SUMMED_ENTRY(tw_field_adjoint, Adjoint)
#else
FD_ENTRY(tw_field_adjoint, Adjoint)
#endif
#endif

#endif
