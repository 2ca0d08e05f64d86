/* Threads of a CUDA grid: how they share a queue, and the loop in which each steps one row.
 *
 * The lanes of a warp stay together: a lane without a row waits until no lane has one. Whoever needs
 * a row at the same moment takes it with the others in one atomic operation. A row stays in
 * registers while it steps; where it leaves and the next one comes, it goes through the stage, which
 * lies in memory.
 *
 * TW_WARP is the number of lanes; a build for the CPU gives its own.
 */
#ifndef TWINML_WARP_H
#define TWINML_WARP_H

#ifndef TW_WARP
#define TW_WARP 32
#endif
#define TW_WHOLE_WARP (TW_WARP == 32 ? 0xffffffffu : (1u << TW_WARP) - 1)

namespace tw {

TW_FN unsigned lane_of_warp() { return threadIdx.x % TW_WARP; }

/* The number of this thread in the grid, and how many threads there are. */
TW_FN count thread_number() { return (count)blockIdx.x * blockDim.x + threadIdx.x; }
TW_FN count thread_count() { return (count)gridDim.x * blockDim.x; }

/* The next `amount` entries of a queue for each thread that asks now, by one atomic operation. */
TW_FN count take_entries(count* next, count amount) {
  const unsigned asking = __activemask(), lane = lane_of_warp();
  const int first = __ffs(asking) - 1;
  count begin = 0;
  if ((int)lane == first) begin = TW_FETCH_ADD(next, amount * __popc(asking));
  begin = __shfl_sync(asking, begin, first, TW_WARP);
  return begin + amount * __popc(asking & ((1u << lane) - 1));
}

/* Add a number of each thread to a counter; all lanes of a warp call it together. */
TW_FN void add_up(count* total, count part) {
  for (int away = TW_WARP / 2; away > 0; away /= 2)
    part += __shfl_down_sync(TW_WHOLE_WARP, part, away, TW_WARP);
  if (lane_of_warp() == 0) TW_FETCH_ADD(total, part);
}

/* The largest number of the lanes of a warp, which call it together. */
TW_FN count most_of_warp(count mine) {
  for (int away = TW_WARP / 2; away > 0; away /= 2) {
    const count other = __shfl_xor_sync(TW_WHOLE_WARP, mine, away, TW_WARP);
    mine = other > mine ? other : mine;
  }
  return mine;
}

}  // namespace tw

#endif
