// One quantity of ROWS trajectories: REGS vector registers of 32 bytes, elementwise arithmetic.
#pragma once
#include <immintrin.h>

#define INLINE __attribute__((always_inline)) inline

namespace {

template <class T>
struct Vector {
    typedef T Type __attribute__((vector_size(32)));
    typedef T Loose __attribute__((vector_size(32), aligned(sizeof(T)), may_alias));
    static constexpr int WIDTH = 32 / sizeof(T);
};

INLINE int bits(Vector<double>::Type v) { return _mm256_movemask_pd((__m256d)v); }
INLINE int bits(Vector<float>::Type v) { return _mm256_movemask_ps((__m256)v); }
INLINE Vector<double>::Type larger_of(Vector<double>::Type a, Vector<double>::Type b) { return _mm256_max_pd(a, b); }
INLINE Vector<float>::Type larger_of(Vector<float>::Type a, Vector<float>::Type b) { return _mm256_max_ps(a, b); }
INLINE Vector<double>::Type smaller_of(Vector<double>::Type a, Vector<double>::Type b) { return _mm256_min_pd(a, b); }
INLINE Vector<float>::Type smaller_of(Vector<float>::Type a, Vector<float>::Type b) { return _mm256_min_ps(a, b); }
INLINE Vector<double>::Type size_of(Vector<double>::Type a) { return _mm256_andnot_pd(_mm256_set1_pd(-0.0), a); }
INLINE Vector<double>::Type root(Vector<double>::Type v) { return _mm256_sqrt_pd((__m256d)v); }

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

  private:
    static INLINE Reg blend(Reg mask, Reg a, Reg b) {
        if constexpr (sizeof(T) == 8) return _mm256_blendv_pd((__m256d)b, (__m256d)a, (__m256d)mask);
        else return _mm256_blendv_ps((__m256)b, (__m256)a, (__m256)mask);
    }
};

}  // namespace
