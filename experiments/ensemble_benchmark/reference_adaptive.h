// Adaptive steps for a pack of rows, each row with its own step; rows that end are replaced.
#pragma once
#include "reference_pack.h"
#include "reference_methods.h"

namespace {

// Polynomials through Chebyshev points: log2 on [1, 2] to 1.0e-4, exp2 on [-0.5, 0.5] to 2.7e-6.
// They only choose steps. x of the logarithm is positive and normal.
constexpr double LOG2[5] = {-2.50561466, 4.04961689, -2.09940228, 0.63551112, -0.08001088};
constexpr double EXP2[5] = {1.00000008, 0.69312103, 0.24022107, 0.05592204, 0.00967604};

template <class V>
INLINE V coarse_log2(V x) {
    V out;
    for (int i = 0; i < (int)(sizeof(V) / BYTES); ++i) {
        const Longs b = (Longs)x.r[i];
        using Reg = typename V::Reg;
        // The exponent as the low digits of 2^52 + exponent: no conversion instruction needed.
        const Reg exponent = (Reg)((b >> 52 & 0x7ff) | 0x4330000000000000L) - (0x1p52 + 1023);
        const Reg m = (Reg)((b & 0xfffffffffffffL) | 0x3ff0000000000000L);
        out.r[i] = exponent + ((((m * LOG2[4] + LOG2[3]) * m + LOG2[2]) * m + LOG2[1]) * m + LOG2[0]);
    }
    return out;
}

template <class V>
INLINE V coarse_exp2(V x) {  // |x| < 1000
    V out;
    for (int i = 0; i < (int)(sizeof(V) / BYTES); ++i) {
        using Reg = typename V::Reg;
        const Reg shifted = x.r[i] + 0x1.8p52;  // the low digits hold the rounded x
        const Reg f = x.r[i] - (shifted - 0x1.8p52);
        const Reg part = (((f * EXP2[4] + EXP2[3]) * f + EXP2[2]) * f + EXP2[1]) * f + EXP2[0];
        out.r[i] = (Reg)((Longs)part + ((Longs)shifted << 52));
    }
    return out;
}

// Mean square of x / (atol + rtol size).
template <class V, int N>
INLINE V mean_square(const V* x, const V* size, double rtol, double atol) {
    V sum;
    for (int i = 0; i < N; ++i) {
        const V ratio = x[i] / (size[i] * rtol + atol);
        sum = i ? sum + ratio * ratio : ratio * ratio;
    }
    return sum * (1.0 / N);
}

// Hairer, Norsett, Wanner (1993), sec. II.4.
template <class V, class System, int Q>
INLINE V first_step(const V* y, const V* p, V* k, double rtol, double atol, double span) {
    constexpr int N = System::N;
    V scale[N], at[N], k2[N];
    for (int i = 0; i < N; ++i) scale[i] = size(y[i]);
    System::rhs(y, p, k);
    const V d0 = root(mean_square<V, N>(y, scale, rtol, atol));
    const V d1 = root(mean_square<V, N>(k, scale, rtol, atol));
    V h0 = V::choose(smaller(d0, d1) < V(1e-5), V(1e-6), d0 * 0.01 / d1);
    h0 = smaller(h0, V(span));
    for (int i = 0; i < N; ++i) at[i] = y[i] + h0 * k[i];
    System::rhs(at, p, k2);
    for (int i = 0; i < N; ++i) k2[i] = k2[i] - k[i];
    const V d2 = root(mean_square<V, N>(k2, scale, rtol, atol)) / h0;
    const V steep = larger(larger(d1, d2), V(1e-15));
    const V h1 = coarse_exp2(coarse_log2(V(0.01) / steep) * (1.0 / Q));
    return smaller(h0 * 100.0, h1);
}

// First slopes and steps of the rows that come next, computed for whole packs: a lane that is
// refilled alone costs a few copies, not an evaluation of the pack.
template <class V, class System, int Q>
struct Stage {
    static constexpr int N = System::N, HELD = 8 * V::ROWS;
    alignas(64) double p[HELD], h[HELD], slope[N][HELD];
    long begin = 0, end = 0;

    __attribute__((noinline)) void fill(
        const double* params, long next, long n, double rtol, double atol, double span) {
        begin = next;
        end = next + HELD < n ? next + HELD : n;
        for (long row = begin; row < end; row += V::ROWS) {
            V y[N], par[1] = {V::load(params + row)}, k[N];
            for (int i = 0; i < N; ++i) y[i] = V(System::Y0[i]);
            first_step<V, System, Q>(y, par, k, rtol, atol, span).store(h + row - begin);
            par[0].store(p + row - begin);
            for (int i = 0; i < N; ++i) k[i].store(slope[i] + row - begin);
        }
    }
};

// A pack of rows on their way.
template <class Method>
struct Rows {
    using V = typename Method::V;
    static constexpr int N = Method::N, ROWS = V::ROWS;
    V t, h, history, bound, y[N], p[1];
    Method method;
    long row[ROWS];
    int live = 0, free = (1 << ROWS) - 1;
};

// PACKS packs take one step each in turn. They do not depend on one another, so while one waits
// for the logarithm that chooses its step the processor is at work on the next.
template <class Method, bool REFILL, int PACKS>
__attribute__((noinline)) void adaptive(
    long n, const double* params, double* out, double end, double rtol, double atol, long* counts) {
    using V = typename Method::V;
    using System = typename Method::System;
    constexpr int N = System::N, Q = Method::Q, ROWS = V::ROWS;
    Rows<Method> packs[PACKS];
    for (auto& pack : packs) {
        pack.t = V(end), pack.h = pack.history = V(0.0), pack.bound = V(10.0), pack.p[0] = V(1.0);
        for (auto& v : pack.y) v = V(1.0);
    }
    Stage<V, System, Q> stage;
    long next = 0, useful = 0, executed = 0, rejected = 0;
    for (bool busy = true; busy;) {
        busy = false;
        for (auto& now : packs) {
            if (REFILL ? now.free && next < n : !now.live)
                for (; now.free && next < n; now.free &= now.free - 1) {
                    if (next == stage.end) stage.fill(params, next, n, rtol, atol, end);
                    const int lane = __builtin_ctz(now.free);
                    const long from = next - stage.begin;
                    now.live |= 1 << lane;
                    now.row[lane] = next++;
                    now.p[0].at(lane) = stage.p[from];
                    now.h.at(lane) = stage.h[from];
                    now.t.at(lane) = now.history.at(lane) = 0;
                    now.bound.at(lane) = 10;
                    for (int i = 0; i < N; ++i) now.y[i].at(lane) = System::Y0[i];
                    for (int i = 0; i < Method::CARRIED; ++i)
                        now.method.first[i].at(lane) = stage.slope[i][from];
                }
            if (!now.live) continue;
            busy = true;
            const V rest = V(end) - now.t;
            const V step = smaller(now.h, rest);
            const V arrives = rest <= now.h * (1 + 1e-10);
            V y1[N], error[N], scale[N];
            now.method.trial(now.y, now.p, step, y1, error);
            for (int i = 0; i < N; ++i) scale[i] = larger(size(now.y[i]), size(y1[i]));
            const V square = mean_square<V, N>(error, scale, rtol, atol);
            const V accepted = square <= V(1.0);  // a nan is a rejection
            const V level = coarse_log2(larger(square, V(1e-20))) * 0.5;
            const V power = V::choose(
                accepted, now.history * (0.4 / Q) - level * (0.7 / Q), level * (-1.0 / Q));
            V factor = coarse_exp2(larger(power, V(-10.0))) * 0.9;
            factor = smaller(larger(factor, V(0.2)), V::choose(accepted, now.bound, V(0.9)));
            now.h = V::choose(square <= square, step * factor, step * 0.1);
            now.history = V::choose(accepted, level, now.history);
            now.bound = V::choose(accepted, V(10.0), V(1.0));
            now.t = V::choose(accepted, V::choose(arrives, V(end), now.t + step), now.t);
            for (int i = 0; i < N; ++i) now.y[i] = V::choose(accepted, y1[i], now.y[i]);
            now.method.accept(accepted);
            executed += ROWS;
            useful += __builtin_popcount(now.live);
            rejected += __builtin_popcount(now.live & ~accepted.mask());
            int ended = (V(end) <= now.t).mask() & now.live;
            now.live &= ~ended;
            now.free |= ended;
            for (; ended; ended &= ended - 1) {
                const int lane = __builtin_ctz(ended);
                for (int i = 0; i < N; ++i) out[i * n + now.row[lane]] = now.y[i].at(lane);
            }
        }
    }
    counts[0] += useful;
    counts[1] += executed;
    counts[2] += rejected;
}

}  // namespace
