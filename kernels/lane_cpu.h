/* The lane on a CPU: a pack of rows in TW_REGS vector registers, for g++ and clang. A pack is a
 * struct of one-register vectors because g++ takes a wider vector apart into scalars at every fma.
 *
 *   TW_VECTOR_BYTES  bytes a register: 16, 32 or 64; by default what the target has
 *
 * Without <immintrin.h>, which alone takes half a second to read: g++ has the same instructions as
 * __builtin_ia32_*, clang as __builtin_elementwise_*.
 */
#ifndef TW_LANE_CPU_H
#define TW_LANE_CPU_H

#ifndef TW_VECTOR_BYTES
#if defined(__AVX512F__) && defined(__AVX512DQ__)
#define TW_VECTOR_BYTES 64
#elif defined(__AVX2__) && defined(__FMA__)
#define TW_VECTOR_BYTES 32
#else
#define TW_VECTOR_BYTES 16
#endif
#endif

/* A unit may ask for packs of so many bytes, whatever a register holds. */
#if !defined(TW_REGS) && defined(TW_PACK_BYTES)
#define TW_REGS (TW_PACK_BYTES / TW_VECTOR_BYTES)
#endif
#ifndef TW_REGS
#define TW_REGS 1
#endif

#define TW_WIDTH (TW_VECTOR_BYTES * 8 / TW_BITS)
#define TW_LANES (TW_WIDTH * TW_REGS)

#define TW_FN static inline __attribute__((always_inline))
#define TW_BIG static __attribute__((noinline, unused))
#define TW_MATH static inline
#define TW_TABLE static const
#define TW_NAN real(__builtin_nanf(""))
#define TW_INFINITY real(__builtin_inff())

/* One statement for each register k, written out: it does not wait for a loop to be unrolled. */
#define TW_FOR_K(K, ...)      \
  {                           \
    constexpr int k = K;      \
    __VA_ARGS__;              \
  }
#if TW_REGS == 1
#define TW_EACH(...) TW_FOR_K(0, __VA_ARGS__)
#elif TW_REGS == 2
#define TW_EACH(...) TW_FOR_K(0, __VA_ARGS__) TW_FOR_K(1, __VA_ARGS__)
#elif TW_REGS == 3
#define TW_EACH(...) TW_FOR_K(0, __VA_ARGS__) TW_FOR_K(1, __VA_ARGS__) TW_FOR_K(2, __VA_ARGS__)
#elif TW_REGS == 4
#define TW_EACH(...)                                            \
  TW_FOR_K(0, __VA_ARGS__) TW_FOR_K(1, __VA_ARGS__)             \
  TW_FOR_K(2, __VA_ARGS__) TW_FOR_K(3, __VA_ARGS__)
#else
#error "TW_REGS must be 1, 2, 3 or 4"
#endif

namespace tw {

/* ---- one register ---- */

typedef real Reg __attribute__((vector_size(TW_VECTOR_BYTES)));
typedef integer IntReg __attribute__((vector_size(TW_VECTOR_BYTES)));
typedef natural NatReg __attribute__((vector_size(TW_VECTOR_BYTES)));
/* The same without alignment, and free to alias, for memory that belongs to the caller. */
typedef real LooseReg __attribute__((vector_size(TW_VECTOR_BYTES), aligned(TW_BITS / 8), may_alias));

#if TW_VECTOR_BYTES * 8 / TW_BITS == 2
#define TW_SPLAT(s) {s, s}
#elif TW_VECTOR_BYTES * 8 / TW_BITS == 4
#define TW_SPLAT(s) {s, s, s, s}
#elif TW_VECTOR_BYTES * 8 / TW_BITS == 8
#define TW_SPLAT(s) {s, s, s, s, s, s, s, s}
#elif TW_VECTOR_BYTES * 8 / TW_BITS == 16
#define TW_SPLAT(s) {s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s}
#else
#error "TW_VECTOR_BYTES must be 16, 32 or 64"
#endif

/* Element by element, for targets and compilers without the instruction: the same value. */
#if TW_BITS == 64
#define TW_SCALAR(name) __builtin_##name
#else
#define TW_SCALAR(name) __builtin_##name##f
#endif
#define TW_BY_ELEMENT(...)                                        \
  {                                                               \
    Reg out = {};                                                 \
    for (int i = 0; i < TW_WIDTH; ++i) out[i] = __VA_ARGS__;      \
    return out;                                                   \
  }

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define TW_GCC_X86 1
#else
#define TW_GCC_X86 0
#endif
#if TW_GCC_X86 && TW_VECTOR_BYTES == 64
#define TW_ALL_LANES ((1 << TW_WIDTH) - 1)
#define TW_CURRENT_ROUNDING 4
#if TW_BITS == 64
#define TW_IA32_FMA(a, b, c) \
  __builtin_ia32_vfmaddpd512_mask(a, b, c, (unsigned char)-1, TW_CURRENT_ROUNDING)
#define TW_IA32_SQRT(x) \
  __builtin_ia32_sqrtpd512_mask(x, x, (unsigned char)-1, TW_CURRENT_ROUNDING)
#define TW_IA32_ROUND(x, mode) \
  __builtin_ia32_rndscalepd_mask(x, mode, x, (unsigned char)-1, TW_CURRENT_ROUNDING)
#define TW_IA32_SIGNS(m) (__builtin_ia32_cvtq2mask512(m) & 0xff)
#else
#define TW_IA32_FMA(a, b, c) \
  __builtin_ia32_vfmaddps512_mask(a, b, c, (unsigned short)-1, TW_CURRENT_ROUNDING)
#define TW_IA32_SQRT(x) \
  __builtin_ia32_sqrtps512_mask(x, x, (unsigned short)-1, TW_CURRENT_ROUNDING)
#define TW_IA32_ROUND(x, mode) \
  __builtin_ia32_rndscaleps_mask(x, mode, x, (unsigned short)-1, TW_CURRENT_ROUNDING)
#define TW_IA32_SIGNS(m) (__builtin_ia32_cvtd2mask512(m) & 0xffff)
#endif
#elif TW_GCC_X86 && TW_VECTOR_BYTES == 32
#if TW_BITS == 64
#define TW_IA32_FMA(a, b, c) __builtin_ia32_vfmaddpd256(a, b, c)
#define TW_IA32_SQRT(x) __builtin_ia32_sqrtpd256(x)
#define TW_IA32_ROUND(x, mode) __builtin_ia32_roundpd256(x, mode)
#define TW_IA32_SIGNS(m) __builtin_ia32_movmskpd256((Reg)(m))
#define TW_IA32_BLEND(m, x, y) __builtin_ia32_blendvpd256(y, x, m)
#define TW_IA32_MIN(a, b) __builtin_ia32_minpd256(a, b)
#define TW_IA32_MAX(a, b) __builtin_ia32_maxpd256(a, b)
#else
#define TW_IA32_FMA(a, b, c) __builtin_ia32_vfmaddps256(a, b, c)
#define TW_IA32_SQRT(x) __builtin_ia32_sqrtps256(x)
#define TW_IA32_ROUND(x, mode) __builtin_ia32_roundps256(x, mode)
#define TW_IA32_SIGNS(m) __builtin_ia32_movmskps256((Reg)(m))
#define TW_IA32_BLEND(m, x, y) __builtin_ia32_blendvps256(y, x, m)
#define TW_IA32_MIN(a, b) __builtin_ia32_minps256(a, b)
#define TW_IA32_MAX(a, b) __builtin_ia32_maxps256(a, b)
#endif
#elif TW_GCC_X86
#if TW_BITS == 64
#ifdef __FMA__
#define TW_IA32_FMA(a, b, c) __builtin_ia32_vfmaddpd(a, b, c)
#endif
#define TW_IA32_SQRT(x) __builtin_ia32_sqrtpd(x)
#ifdef __SSE4_1__
#define TW_IA32_ROUND(x, mode) __builtin_ia32_roundpd(x, mode)
#define TW_IA32_BLEND(m, x, y) __builtin_ia32_blendvpd(y, x, m)
#endif
#define TW_IA32_MIN(a, b) __builtin_ia32_minpd(a, b)
#define TW_IA32_MAX(a, b) __builtin_ia32_maxpd(a, b)
#define TW_IA32_SIGNS(m) __builtin_ia32_movmskpd((Reg)(m))
#else
#ifdef __FMA__
#define TW_IA32_FMA(a, b, c) __builtin_ia32_vfmaddps(a, b, c)
#endif
#define TW_IA32_SQRT(x) __builtin_ia32_sqrtps(x)
#ifdef __SSE4_1__
#define TW_IA32_ROUND(x, mode) __builtin_ia32_roundps(x, mode)
#define TW_IA32_BLEND(m, x, y) __builtin_ia32_blendvps(y, x, m)
#endif
#define TW_IA32_MIN(a, b) __builtin_ia32_minps(a, b)
#define TW_IA32_MAX(a, b) __builtin_ia32_maxps(a, b)
#define TW_IA32_SIGNS(m) __builtin_ia32_movmskps((Reg)(m))
#endif
#endif

#ifdef __has_builtin
#define TW_HAS(name) __has_builtin(name)
#else
#define TW_HAS(name) 0
#endif

TW_FN Reg fma_reg(Reg a, Reg b, Reg c) {
#if defined(TW_IA32_FMA)
  return TW_IA32_FMA(a, b, c);
#elif TW_HAS(__builtin_elementwise_fma) && (defined(__FMA__) || defined(__aarch64__))
  return __builtin_elementwise_fma(a, b, c);
#else
  TW_BY_ELEMENT(TW_SCALAR(fma)(a[i], b[i], c[i]))
#endif
}

TW_FN Reg sqrt_reg(Reg x) {
#if defined(TW_IA32_SQRT)
  return TW_IA32_SQRT(x);
#elif TW_HAS(__builtin_elementwise_sqrt)
  return __builtin_elementwise_sqrt(x);
#else
  TW_BY_ELEMENT(TW_SCALAR(sqrt)(x[i]))
#endif
}

/* The x86 rounding modes, with 8: raise no flag. */
#define TW_ROUNDED(name, mode, scalar)                     \
  TW_FN Reg name##_reg(Reg x) { TW_ROUND_BODY(name, mode, scalar) }
#if defined(TW_IA32_ROUND)
#define TW_ROUND_BODY(name, mode, scalar) return TW_IA32_ROUND(x, mode);
#elif TW_HAS(__builtin_elementwise_roundeven)
#define TW_ROUND_BODY(name, mode, scalar) return __builtin_elementwise_##name(x);
#else
#define TW_ROUND_BODY(name, mode, scalar) TW_BY_ELEMENT(TW_SCALAR(scalar)(x[i]))
#endif
TW_ROUNDED(roundeven, 8 | 0, rint)
TW_ROUNDED(floor, 8 | 1, floor)
TW_ROUNDED(ceil, 8 | 2, ceil)
TW_ROUNDED(trunc, 8 | 3, trunc)

TW_FN bool any_reg(IntReg m) {
#if defined(TW_IA32_SIGNS)
  return TW_IA32_SIGNS(m) != 0;
#else
  integer seen = 0;
  for (int i = 0; i < TW_WIDTH; ++i) seen |= m[i];
  return seen != 0;
#endif
}

/* g++ compares a mask that is no comparison with zero again, hence the instruction. */
template <class Some>
TW_FN Some select_reg(IntReg m, Some x, Some y) {
#if defined(TW_IA32_BLEND)
  return (Some)TW_IA32_BLEND((Reg)m, (Reg)x, (Reg)y);
#else
  return m ? x : y;
#endif
}

/* `a < b ? a : b` and `a > b ? a : b`, which is what the instructions do with nan. */
TW_FN Reg min_reg(Reg a, Reg b) {
#if defined(TW_IA32_MIN)
  return TW_IA32_MIN(a, b);
#else
  return a < b ? a : b;
#endif
}
TW_FN Reg max_reg(Reg a, Reg b) {
#if defined(TW_IA32_MAX)
  return TW_IA32_MAX(a, b);
#else
  return a > b ? a : b;
#endif
}

/* A bit for each element that is true. */
TW_FN unsigned signs_reg(IntReg m) {
#if defined(TW_IA32_SIGNS)
  return (unsigned)TW_IA32_SIGNS(m);
#else
  unsigned signs = 0;
  for (int i = 0; i < TW_WIDTH; ++i) signs |= (unsigned)(m[i] & 1) << i;
  return signs;
#endif
}

/* ---- packs ---- */

/* True in every bit of a lane, or false in every bit. */
struct Mask {
  IntReg r[TW_REGS];
  Mask() = default;
  __attribute__((always_inline)) explicit Mask(bool value) {
    const integer s = -(integer)value;
    TW_EACH(r[k] = (IntReg)TW_SPLAT(s))
  }
};

struct Int {
  IntReg r[TW_REGS];
  Int() = default;
  __attribute__((always_inline)) explicit Int(integer s) { TW_EACH(r[k] = (IntReg)TW_SPLAT(s)) }
};

struct Real {
  Reg r[TW_REGS];
  Real() = default;
  __attribute__((always_inline)) explicit Real(real s) { TW_EACH(r[k] = (Reg)TW_SPLAT(s)) }
};

#define TW_MAP1(Out, name, In, ...)  \
  TW_FN Out name(In x) {             \
    Out out;                         \
    TW_EACH(out.r[k] = __VA_ARGS__)  \
    return out;                      \
  }
#define TW_MAP2(Out, name, In, ...)  \
  TW_FN Out name(In a, In b) {       \
    Out out;                         \
    TW_EACH(out.r[k] = __VA_ARGS__)  \
    return out;                      \
  }
#define TW_UPDATE(Type, op) \
  TW_FN Type& operator op##=(Type& a, Type b) { return a = a op b; }

TW_MAP2(Real, operator+, Real, a.r[k] + b.r[k])
TW_MAP2(Real, operator-, Real, a.r[k] - b.r[k])
TW_MAP2(Real, operator*, Real, a.r[k] * b.r[k])
TW_MAP2(Real, operator/, Real, a.r[k] / b.r[k])
TW_MAP1(Real, operator-, Real, -x.r[k])
TW_UPDATE(Real, +)
TW_UPDATE(Real, -)
TW_UPDATE(Real, *)
TW_UPDATE(Real, /)
TW_MAP2(Mask, operator<, Real, (IntReg)(a.r[k] < b.r[k]))
TW_MAP2(Mask, operator<=, Real, (IntReg)(a.r[k] <= b.r[k]))
TW_MAP2(Mask, operator>, Real, (IntReg)(a.r[k] > b.r[k]))
TW_MAP2(Mask, operator>=, Real, (IntReg)(a.r[k] >= b.r[k]))
TW_MAP2(Mask, operator==, Real, (IntReg)(a.r[k] == b.r[k]))
TW_MAP2(Mask, operator!=, Real, (IntReg)(a.r[k] != b.r[k]))

/* Unsigned inside: integers wrap, as they do on CUDA. */
TW_MAP2(Int, operator+, Int, (IntReg)((NatReg)a.r[k] + (NatReg)b.r[k]))
TW_MAP2(Int, operator-, Int, (IntReg)((NatReg)a.r[k] - (NatReg)b.r[k]))
TW_MAP2(Int, operator*, Int, (IntReg)((NatReg)a.r[k] * (NatReg)b.r[k]))
TW_MAP1(Int, operator-, Int, (IntReg)(-(NatReg)x.r[k]))
TW_MAP2(Int, operator&, Int, a.r[k] & b.r[k])
TW_MAP2(Int, operator|, Int, a.r[k] | b.r[k])
TW_MAP2(Int, operator^, Int, a.r[k] ^ b.r[k])
TW_UPDATE(Int, +)
TW_UPDATE(Int, -)
TW_UPDATE(Int, *)
TW_MAP2(Mask, operator<, Int, (IntReg)(a.r[k] < b.r[k]))
TW_MAP2(Mask, operator<=, Int, (IntReg)(a.r[k] <= b.r[k]))
TW_MAP2(Mask, operator>, Int, (IntReg)(a.r[k] > b.r[k]))
TW_MAP2(Mask, operator>=, Int, (IntReg)(a.r[k] >= b.r[k]))
TW_MAP2(Mask, operator==, Int, (IntReg)(a.r[k] == b.r[k]))
TW_MAP2(Mask, operator!=, Int, (IntReg)(a.r[k] != b.r[k]))

TW_MAP2(Mask, operator&, Mask, a.r[k] & b.r[k])
TW_MAP2(Mask, operator|, Mask, a.r[k] | b.r[k])
TW_MAP2(Mask, operator^, Mask, a.r[k] ^ b.r[k])
TW_MAP1(Mask, operator!, Mask, ~x.r[k])
TW_UPDATE(Mask, &)
TW_UPDATE(Mask, |)

TW_FN bool any(Mask m) {
  IntReg seen = m.r[0];
  TW_EACH(seen |= m.r[k])
  return any_reg(seen);
}
TW_FN bool none(Mask m) { return !any(m); }
TW_FN bool all(Mask m) { return !any(!m); }
#if TW_LANES > 32 /* float32 in three or four registers of 64 bytes */
typedef unsigned long long LaneBits;
#else
typedef unsigned LaneBits;
#endif
TW_FN LaneBits lanes_of(Mask m) {
  LaneBits lanes = 0;
  TW_EACH(lanes |= (LaneBits)signs_reg(m.r[k]) << (k * TW_WIDTH))
  return lanes;
}
TW_FN int first_lane(LaneBits lanes) { return __builtin_ctzll(lanes); }
TW_FN int count_lanes(Mask m) { return __builtin_popcountll(lanes_of(m)); }

#define TW_SELECT(Type)                                              \
  TW_FN Type select(Mask m, Type x, Type y) {                        \
    Type out;                                                        \
    TW_EACH(out.r[k] = select_reg(m.r[k], x.r[k], y.r[k]))           \
    return out;                                                      \
  }
TW_SELECT(Real)
TW_SELECT(Int)
TW_SELECT(Mask)
/* x where m, else zero. */
TW_FN Real masked(Mask m, Real x) {
  Real out;
  TW_EACH(out.r[k] = (Reg)((IntReg)x.r[k] & m.r[k]))
  return out;
}

TW_FN Real fma(Real a, Real b, Real c) {
  Real out;
  TW_EACH(out.r[k] = fma_reg(a.r[k], b.r[k], c.r[k]))
  return out;
}
TW_FN Real fnma(Real a, Real b, Real c) {
  Real out;
  TW_EACH(out.r[k] = fma_reg(-a.r[k], b.r[k], c.r[k]))
  return out;
}
TW_MAP1(Real, sqrt, Real, sqrt_reg(x.r[k]))
TW_MAP1(Real, floor, Real, floor_reg(x.r[k]))
TW_MAP1(Real, ceil, Real, ceil_reg(x.r[k]))
TW_MAP1(Real, trunc, Real, trunc_reg(x.r[k]))
TW_MAP1(Real, round_even, Real, roundeven_reg(x.r[k]))
TW_MAP2(Real, min, Real, min_reg(a.r[k], b.r[k]))
TW_MAP2(Real, max, Real, max_reg(a.r[k], b.r[k]))
TW_MAP2(Int, min, Int, a.r[k] < b.r[k] ? a.r[k] : b.r[k])
TW_MAP2(Int, max, Int, a.r[k] > b.r[k] ? a.r[k] : b.r[k])

TW_MAP1(Int, bits, Real, (IntReg)x.r[k])
TW_MAP1(Real, from_bits, Int, (Reg)x.r[k])

TW_FN Int sign_bit() { return Int((integer)((natural)1 << (TW_BITS - 1))); }
TW_FN Real abs(Real x) { return from_bits(bits(x) & Int((integer)(~(natural)0 >> 1))); }
TW_FN Real copysign(Real size, Real sign) {
  return from_bits(bits(abs(size)) | (bits(sign) & sign_bit()));
}

TW_FN Int shl(Int x, int n) {
  Int out;
  TW_EACH(out.r[k] = (IntReg)((NatReg)x.r[k] << (natural)n))
  return out;
}
TW_FN Int shr(Int x, int n) {
  Int out;
  TW_EACH(out.r[k] = (IntReg)((NatReg)x.r[k] >> (natural)n))
  return out;
}

#if TW_BITS == 64
/* Only AVX-512 converts 64-bit integers; the sum with 1.5 * 2^52 shows the integer in its last bits. */
TW_FN Real to_real(Int x) {
  const Real shift(0x1.8p52);
  return from_bits(x + bits(shift)) - shift;
}
TW_FN Int to_int(Real x) {
  const Real shift(0x1.8p52);
  return bits(trunc(x) + shift) - bits(shift);
}
#else
TW_MAP1(Real, to_real, Int, __builtin_convertvector(x.r[k], Reg))
TW_MAP1(Int, to_int, Real, __builtin_convertvector(x.r[k], IntReg))
#endif

/* ---- one lane, and memory ---- */

TW_FN real get(const Real& x, int lane) { return x.r[lane / TW_WIDTH][lane % TW_WIDTH]; }
TW_FN integer get(const Int& x, int lane) { return x.r[lane / TW_WIDTH][lane % TW_WIDTH]; }
TW_FN bool get(const Mask& m, int lane) { return m.r[lane / TW_WIDTH][lane % TW_WIDTH] != 0; }
TW_FN void set(Real& x, int lane, real value) { x.r[lane / TW_WIDTH][lane % TW_WIDTH] = value; }
TW_FN void set(Int& x, int lane, integer value) { x.r[lane / TW_WIDTH][lane % TW_WIDTH] = value; }
TW_FN void set(Mask& m, int lane, bool value) {
  m.r[lane / TW_WIDTH][lane % TW_WIDTH] = -(integer)value;
}

TW_FN Reg gather_reg(const real* base, IntReg index) TW_BY_ELEMENT(base[index[i]])
TW_FN Real gather(const real* base, Int index) {
  Real out;
  TW_EACH(out.r[k] = gather_reg(base, index.r[k]))
  return out;
}
TW_FN Real load(const real* base) {
  Real out;
  TW_EACH(out.r[k] = (Reg) * (const LooseReg*)(base + k * TW_WIDTH))
  return out;
}
TW_FN void store(real* base, Real x) {
  TW_EACH(*(LooseReg*)(base + k * TW_WIDTH) = x.r[k])
}

/* Full IEEE arithmetic while it lives: round to nearest, subnormals kept, no trap. The mode belongs
 * to the thread, and whoever calls may have asked for flush to zero. Used once, around a call of a
 * TW_BIG function: the compiler does not know that arithmetic depends on it. */
struct FloatMode {
#if defined(__x86_64__)
  unsigned int before;
  __attribute__((always_inline)) FloatMode() {
    const unsigned int ieee = 0x1f80;
    __asm__ volatile("stmxcsr %0" : "=m"(before)::"memory");
    __asm__ volatile("ldmxcsr %0" ::"m"(ieee) : "memory");
  }
  __attribute__((always_inline)) ~FloatMode() {
    __asm__ volatile("ldmxcsr %0" ::"m"(before) : "memory");
  }
#elif defined(__aarch64__)
  unsigned long long before;
  __attribute__((always_inline)) FloatMode() {
    const unsigned long long ieee = 0;
    __asm__ volatile("mrs %0, fpcr" : "=r"(before)::"memory");
    __asm__ volatile("msr fpcr, %0" ::"r"(ieee) : "memory");
  }
  __attribute__((always_inline)) ~FloatMode() {
    __asm__ volatile("msr fpcr, %0" ::"r"(before) : "memory");
  }
#endif
  FloatMode(const FloatMode&) = delete;
};

}  // namespace tw

#endif
