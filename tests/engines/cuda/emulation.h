/* CUDA for a C++ compiler: enough of the language for the kernels, run on the CPU.
 *
 * A warp is a ring of coroutines. One runs until it meets a function that waits for other lanes; when
 * all wait, those whose lanes have all arrived go on. __activemask() tells who is there when nobody
 * else can move. A lane that waits for one that has ended, or that waits elsewhere, ends the program:
 * on a device that would hang or be undefined.
 *
 * Include this first, then the unit, then emulation_launch.h.
 */
#ifndef EMULATION_H
#define EMULATION_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#define __device__
#define __global__ __attribute__((visibility("default")))
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline, unused))
#define __grid_constant__

struct Place3 {
  unsigned x, y, z;
};
static Place3 threadIdx, blockIdx, blockDim, gridDim;

namespace emulation {

enum Wait { NOTHING, ACTIVE, ANY, ALL, BALLOT, SHUFFLE, SHUFFLE_DOWN, SHUFFLE_XOR, SYNC, ENDED };

struct Lane {
  ucontext_t context;
  char* stack;
  Place3 thread;
  Wait wait;
  unsigned mask;
  long long value, result;
  int from;
  bool ready;
};

static Lane lanes[TW_WARP];
static ucontext_t home;
static int turn;

static unsigned bit(int lane) { return 1u << lane; }

static long long meet(Wait wait, unsigned mask, long long value, int from) {
  Lane& lane = lanes[turn];
  if (wait != ACTIVE && !(mask & bit(turn))) {
    fprintf(stderr, "a lane is not in its own mask\n");
    abort();
  }
  lane.wait = wait;
  lane.mask = mask;
  lane.value = value;
  lane.from = from;
  lane.ready = false;
  swapcontext(&lane.context, &home);
  return lane.result;
}

static long long answer(const Lane& lane, int number) {
  long long found = 0;
  switch (lane.wait) {
    case ANY:
    case ALL:
    case BALLOT: {
      unsigned votes = 0;
      for (int i = 0; i < TW_WARP; ++i)
        if ((lane.mask & bit(i)) && lanes[i].value) votes |= bit(i);
      found = lane.wait == ANY ? votes != 0 : lane.wait == ALL ? votes == lane.mask : votes;
      break;
    }
    case SHUFFLE:
    case SHUFFLE_DOWN:
    case SHUFFLE_XOR: {
      int source = lane.wait == SHUFFLE        ? lane.from % TW_WARP
                   : lane.wait == SHUFFLE_DOWN ? number + lane.from
                                               : number ^ lane.from;
      if (source >= TW_WARP) source = number;
      if (!(lane.mask & bit(source))) {
        fprintf(stderr, "a shuffle reads a lane that is not in its mask\n");
        abort();
      }
      found = lanes[source].value;
      break;
    }
    default:
      break;
  }
  return found;
}

/* Let go on whoever can; false when nobody can. */
static bool release() {
  unsigned together = 0;
  bool any = false;
  for (int i = 0; i < TW_WARP; ++i) {
    Lane& lane = lanes[i];
    if (lane.ready || lane.wait == ENDED) continue;
    if (lane.wait == ACTIVE) {
      together |= bit(i);
      continue;
    }
    bool all = true;
    for (int j = 0; j < TW_WARP; ++j)
      if (lane.mask & bit(j))
        all = all && lanes[j].wait == lane.wait && lanes[j].mask == lane.mask;
    if (!all) continue;
    unsigned mask = lane.mask;
    for (int j = 0; j < TW_WARP; ++j)
      if (mask & bit(j)) lanes[j].result = answer(lanes[j], j);
    for (int j = 0; j < TW_WARP; ++j)
      if (mask & bit(j)) lanes[j].ready = true;
    any = true;
  }
  if (any) return true;
  for (int i = 0; i < TW_WARP; ++i)
    if (together & bit(i)) {
      lanes[i].result = together;
      lanes[i].ready = true;
    }
  return together != 0;
}

static void (*kernel_now)();

static void live() {
  kernel_now();
  lanes[turn].wait = ENDED;
  swapcontext(&lanes[turn].context, &home);
}

static void run_warp(unsigned first) {
  const size_t size = 1u << 19;
  for (int i = 0; i < TW_WARP; ++i) {
    Lane& lane = lanes[i];
    if (!lane.stack) lane.stack = (char*)malloc(size);
    getcontext(&lane.context);
    lane.context.uc_stack.ss_sp = lane.stack;
    lane.context.uc_stack.ss_size = size;
    lane.context.uc_link = nullptr;
    makecontext(&lane.context, live, 0);
    lane.thread = Place3{first + i, 0, 0};
    lane.wait = NOTHING;
    lane.ready = true;
  }
  for (;;) {
    bool left = false;
    for (turn = 0; turn < TW_WARP; ++turn) {
      Lane& lane = lanes[turn];
      if (!lane.ready || lane.wait == ENDED) continue;
      lane.ready = false;
      lane.wait = NOTHING;
      threadIdx = lane.thread;
      swapcontext(&home, &lane.context);
    }
    for (int i = 0; i < TW_WARP; ++i) left = left || lanes[i].wait != ENDED;
    if (!left) return;
    if (!release()) {
      fprintf(stderr, "the lanes of a warp wait for one another\n");
      abort();
    }
  }
}

static void run_grid(void (*kernel)(), unsigned blocks, unsigned threads) {
  if (threads % TW_WARP) {
    fprintf(stderr, "a block of %u threads is no whole number of warps\n", threads);
    abort();
  }
  kernel_now = kernel;
  gridDim = Place3{blocks, 1, 1};
  blockDim = Place3{threads, 1, 1};
  for (unsigned block = 0; block < blocks; ++block) {
    blockIdx = Place3{block, 0, 0};
    for (unsigned first = 0; first < threads; first += TW_WARP) run_warp(first);
  }
}

}  // namespace emulation

/* ---- the functions that kernels use ---- */

static inline unsigned __activemask() { return (unsigned)emulation::meet(emulation::ACTIVE, 0, 0, 0); }
static inline int __any_sync(unsigned mask, int vote) {
  return (int)emulation::meet(emulation::ANY, mask, vote != 0, 0);
}
static inline int __all_sync(unsigned mask, int vote) {
  return (int)emulation::meet(emulation::ALL, mask, vote != 0, 0);
}
static inline unsigned __ballot_sync(unsigned mask, int vote) {
  return (unsigned)emulation::meet(emulation::BALLOT, mask, vote != 0, 0);
}
static inline void __syncwarp(unsigned mask) { emulation::meet(emulation::SYNC, mask, 0, 0); }

template <class T>
static inline long long as_word(T value) {
  long long word = 0;
  memcpy(&word, &value, sizeof value);
  return word;
}
template <class T>
static inline T from_word(long long word) {
  T value;
  memcpy(&value, &word, sizeof value);
  return value;
}
template <class T>
static inline T __shfl_sync(unsigned mask, T value, int from, int = TW_WARP) {
  return from_word<T>(emulation::meet(emulation::SHUFFLE, mask, as_word(value), from));
}
template <class T>
static inline T __shfl_down_sync(unsigned mask, T value, unsigned away, int = TW_WARP) {
  return from_word<T>(emulation::meet(emulation::SHUFFLE_DOWN, mask, as_word(value), (int)away));
}

template <class T>
static inline T __shfl_xor_sync(unsigned mask, T value, int with, int = TW_WARP) {
  return from_word<T>(emulation::meet(emulation::SHUFFLE_XOR, mask, as_word(value), with));
}

static inline int __popc(unsigned x) { return __builtin_popcount(x); }
static inline int __ffs(int x) { return __builtin_ffs(x); }
struct double2 {
  double x, y;
};
struct float4 {
  float x, y, z, w;
};
/* A load of several numbers at once faults where it is not aligned. */
template <class T>
static inline T __ldg(const T* place) {
  if ((size_t)place % sizeof(T)) {
    fprintf(stderr, "a load of %zu bytes is not aligned\n", sizeof(T));
    abort();
  }
  return *place;
}
static inline unsigned long long atomicAdd(unsigned long long* place, unsigned long long n) {
  const unsigned long long before = *place;
  *place = before + n;
  return before;
}

static inline double __fma_rn(double a, double b, double c) { return __builtin_fma(a, b, c); }
static inline float __fmaf_rn(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
static inline double __dsqrt_rn(double x) { return __builtin_sqrt(x); }
static inline float __fsqrt_rn(float x) { return __builtin_sqrtf(x); }
static inline long long __double_as_longlong(double x) { return as_word(x); }
static inline double __longlong_as_double(long long x) { return from_word<double>(x); }
static inline int __float_as_int(float x) { int i; memcpy(&i, &x, 4); return i; }
static inline float __int_as_float(int x) { float f; memcpy(&f, &x, 4); return f; }
static inline unsigned __umulhi(unsigned a, unsigned b) {
  return (unsigned)(((unsigned long long)a * b) >> 32);
}

#define __CUDACC__ 1

#endif
