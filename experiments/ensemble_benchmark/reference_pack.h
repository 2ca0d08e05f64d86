// One quantity of ROWS trajectories: REGS vector registers, elementwise arithmetic.
#pragma once
#include <immintrin.h>

#define INLINE __attribute__((always_inline)) inline

namespace {

#ifdef __AVX512F__
constexpr int BYTES = 64;
#else
constexpr int BYTES = 32;
#endif

template <class T>
struct Vector {
    typedef T Type __attribute__((vector_size(BYTES)));
    typedef T Loose __attribute__((vector_size(BYTES), aligned(sizeof(T)), may_alias));
    static constexpr int WIDTH = BYTES / sizeof(T);
};
using Doubles = Vector<double>::Type;
using Floats = Vector<float>::Type;
typedef long Longs __attribute__((vector_size(BYTES)));

#ifdef __AVX512F__
INLINE int bits(Doubles v) { return _mm512_movepi64_mask((__m512i)v); }
INLINE Doubles root(Doubles v) { return _mm512_sqrt_pd(v); }
INLINE Doubles larger_of(Doubles a, Doubles b) { return _mm512_max_pd(a, b); }
INLINE Floats larger_of(Floats a, Floats b) { return _mm512_max_ps(a, b); }
INLINE Doubles smaller_of(Doubles a, Doubles b) { return _mm512_min_pd(a, b); }
INLINE Floats smaller_of(Floats a, Floats b) { return _mm512_min_ps(a, b); }
INLINE Doubles size_of(Doubles a) { return _mm512_abs_pd(a); }
INLINE Doubles blend(Doubles mask, Doubles a, Doubles b) {
    return _mm512_mask_blend_pd(bits(mask), b, a);
}
#else
INLINE int bits(Doubles v) { return _mm256_movemask_pd(v); }
INLINE Doubles root(Doubles v) { return _mm256_sqrt_pd(v); }
INLINE Doubles larger_of(Doubles a, Doubles b) { return _mm256_max_pd(a, b); }
INLINE Floats larger_of(Floats a, Floats b) { return _mm256_max_ps(a, b); }
INLINE Doubles smaller_of(Doubles a, Doubles b) { return _mm256_min_pd(a, b); }
INLINE Floats smaller_of(Floats a, Floats b) { return _mm256_min_ps(a, b); }
INLINE Doubles size_of(Doubles a) { return _mm256_andnot_pd(_mm256_set1_pd(-0.0), a); }
INLINE Doubles blend(Doubles mask, Doubles a, Doubles b) { return _mm256_blendv_pd(b, a, mask); }
#endif

template <class T, int REGS>
struct Pack {
    using Number = T;
    using Reg = typename Vector<T>::Type;
    static constexpr int WIDTH = Vector<T>::WIDTH, ROWS = WIDTH * REGS;
    Reg r[REGS];

    Pack() = default;
    INLINE Pack(T x) { for (auto& v : r) v = x - Reg{}; }
    static INLINE Pack load(const T* from) {
        Pack v;
        for (int i = 0; i < REGS; ++i) v.r[i] = *(const typename Vector<T>::Loose*)(from + i * WIDTH);
        return v;
    }
    INLINE void store(T* to) const {
        for (int i = 0; i < REGS; ++i) *(typename Vector<T>::Loose*)(to + i * WIDTH) = r[i];
    }
    INLINE T& at(int row) { return ((T*)r)[row]; }

#define EACH(expression)                                     \
    Pack out;                                                \
    for (int i = 0; i < REGS; ++i) out.r[i] = (expression);  \
    return out
    friend INLINE Pack operator+(Pack a, Pack b) { EACH(a.r[i] + b.r[i]); }
    friend INLINE Pack operator-(Pack a, Pack b) { EACH(a.r[i] - b.r[i]); }
    friend INLINE Pack operator*(Pack a, Pack b) { EACH(a.r[i] * b.r[i]); }
    friend INLINE Pack operator/(Pack a, Pack b) { EACH(a.r[i] / b.r[i]); }
    friend INLINE Pack operator*(Pack a, T b) { EACH(a.r[i] * b); }
    friend INLINE Pack operator*(T a, Pack b) { EACH(a * b.r[i]); }
    friend INLINE Pack operator+(Pack a, T b) { EACH(a.r[i] + b); }
    friend INLINE Pack operator-(Pack a, T b) { EACH(a.r[i] - b); }
    friend INLINE Pack operator-(T a, Pack b) { EACH(a - b.r[i]); }
    friend INLINE Pack operator/(T a, Pack b) { EACH(a / b.r[i]); }
    INLINE Pack& operator+=(Pack b) { return *this = *this + b; }
    // Masks are packs whose bits are all set in the rows where they hold.
    friend INLINE Pack operator<=(Pack a, Pack b) { EACH((Reg)(a.r[i] <= b.r[i])); }
    friend INLINE Pack operator<(Pack a, Pack b) { EACH((Reg)(a.r[i] < b.r[i])); }
    // a > b ? a : b and a < b ? a : b, so a nan in a gives b.
    friend INLINE Pack larger(Pack a, Pack b) { EACH(larger_of(a.r[i], b.r[i])); }
    friend INLINE Pack smaller(Pack a, Pack b) { EACH(smaller_of(a.r[i], b.r[i])); }
    friend INLINE Pack size(Pack a) { EACH(size_of(a.r[i])); }
    friend INLINE Pack root(Pack a) { EACH(root(a.r[i])); }
    static INLINE Pack choose(Pack mask, Pack a, Pack b) { EACH(blend(mask.r[i], a.r[i], b.r[i])); }
#undef EACH
    INLINE int mask() const {
        int found = 0;
        for (int i = 0; i < REGS; ++i) found |= bits(r[i]) << (i * WIDTH);
        return found;
    }

};

}  // namespace
