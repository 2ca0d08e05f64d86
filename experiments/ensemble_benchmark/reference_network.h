// Fixed-step RK4 of dy/dt = MLP(y), 4-32-32-4, tanh, float32.
#pragma once
#include "reference_pack.h"

namespace {

// Rational best approximation of tanh(x)/x in x^2 on |x| <= 9.02 (own fit, 2.1e-8 relative);
// beyond, tanh is 1 in float32. A nan stays a nan.
template <class V>
INLINE V tanh_float(V x) {
    x = smaller(V(9.02f), larger(V(-9.02f), x));
    const V u = x * x;
    const V top = (((u * 1.3319061516709695e-08f + 2.0583473665558557e-05f) * u
                  + 0.003494034106483248f) * u + 0.13379717573937988f) * u + 0.9999999790400061f;
    const V low = (((u * 7.762015144007298e-07f + 0.0003283092088108079f) * u
                  + 0.02587107150912935f) * u + 0.46713032820337047f) * u + 1.0f;
    return x * top / low;
}

// out = w in + b for a block of BLOCK outputs at a time: BLOCK * REGS sums stay in registers,
// each weight is read once for REGS registers of rows. w is (outs, ins), row-major.
template <class V, int INS, int OUTS, int BLOCK, bool TANH>
INLINE void layer(const float* w, const float* b, const V* in, V* out) {
    static_assert(OUTS % BLOCK == 0);
    for (int first = 0; first < OUTS; first += BLOCK) {
        V sum[BLOCK];
        for (int o = 0; o < BLOCK; ++o) sum[o] = V(b[first + o]);
        const float* from = w + first * INS;
        for (int i = 0; i < INS; ++i) {
            const V x = in[i];
#pragma GCC unroll 16
            for (int o = 0; o < BLOCK; ++o) sum[o] += x * from[o * INS + i];
        }
        for (int o = 0; o < BLOCK; ++o) out[first + o] = TANH ? tanh_float(sum[o]) : sum[o];
    }
}

struct Network { const float *w1, *b1, *w2, *b2, *w3, *b3; };

template <class V, int BLOCK>
__attribute__((noinline)) void network(const Network& net, const V* y, V* f) {
    V one[32], two[32];
    layer<V, 4, 32, BLOCK, true>(net.w1, net.b1, y, one);
    layer<V, 32, 32, BLOCK, true>(net.w2, net.b2, one, two);
    layer<V, 32, 4, 4, false>(net.w3, net.b3, two, f);
}

template <class V, int BLOCK>
void network_rk4(long n, const float* y0, const Network& net, float* out, long steps, double dt) {
    const float half = dt / 2, sixth = dt / 6, third = dt / 3, whole = dt;
    for (long row = 0; row < n; row += V::ROWS) {
        V y[4], k[4], at[4], sum[4];
        for (int i = 0; i < 4; ++i) y[i] = V::load(y0 + i * n + row);
        for (long step = 0; step < steps; ++step) {
            network<V, BLOCK>(net, y, k);
            for (int i = 0; i < 4; ++i) at[i] = y[i] + k[i] * half, sum[i] = y[i] + k[i] * sixth;
            network<V, BLOCK>(net, at, k);
            for (int i = 0; i < 4; ++i) at[i] = y[i] + k[i] * half, sum[i] += k[i] * third;
            network<V, BLOCK>(net, at, k);
            for (int i = 0; i < 4; ++i) at[i] = y[i] + k[i] * whole, sum[i] += k[i] * third;
            network<V, BLOCK>(net, at, k);
            for (int i = 0; i < 4; ++i) y[i] = sum[i] + k[i] * sixth;
        }
        for (int i = 0; i < 4; ++i) y[i].store(out + i * n + row);
    }
}

}  // namespace

// weights: w1 (32,4), b1, w2 (32,32), b2, w3 (4,32), b3, one after another.
#define NETWORK(name, R, BLOCK)                                                               \
    EXPORT void name(long n, const float* y0, const float* w, float* out, long steps, double dt) { \
        const Network net{w, w + 128, w + 160, w + 1184, w + 1216, w + 1344};                 \
        network_rk4<Pack<float, R>, BLOCK>(n, y0, net, out, steps, dt);                       \
    }
NETWORK(network_rk4_no_blocks, 1, 8)
NETWORK(network_rk4, 3, 4)
