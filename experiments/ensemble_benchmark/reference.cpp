// Hand-written kernels: what a person who knows the problem and the machine gets per core.
//
// The yardstick for generated kernels. Trajectories are the innermost dimension: one vector
// register holds one quantity of 4 (float64) or 8 (float32) trajectories, twice as many with
// AVX-512. A Pack is REGS such registers: a coefficient is loaded once for all of them.
// B packs take turns, so that one computes while the other waits. README.md says what each gives.
// The step control is twinml's (proportional-integral, exponents 0.7/q and 0.4/q), so the
// steps, hence the errors, are the same. Compile with -O3 -march=x86-64-v3 or
// -march=x86-64-v4.
#include "reference_adaptive.h"

namespace {

struct Lorenz {
    static constexpr int N = 3, P = 1;  // rho varies
    static constexpr double Y0[3] = {1, 0, 0};
    template <class V>
    static INLINE void rhs(const V* y, const V* p, V* f) {
        f[0] = (y[1] - y[0]) * 10.0;
        f[1] = y[0] * (p[0] - y[2]) - y[1];
        f[2] = y[0] * y[1] - y[2] * (8.0 / 3.0);
    }
};

struct VanDerPol {
    static constexpr int N = 2, P = 1;  // mu varies
    static constexpr double Y0[2] = {2, 0};
    template <class V>
    static INLINE void rhs(const V* y, const V* p, V* f) {
        f[0] = y[1];
        f[1] = p[0] * (1.0 - y[0] * y[0]) * y[1] - y[0];
    }
    // W = s I - J with s = 1 / (h gamma), factorised without pivoting: row 1 -> two numbers.
    template <class V>
    struct System {
        V diagonal, lower, corner;
        INLINE System(const V* y, const V* p, V s, V inverse) : diagonal(inverse) {
            const V slope = -2.0 * p[0] * y[0] * y[1] - 1.0;
            lower = slope * inverse;  // minus the multiplier
            corner = 1.0 / (s - p[0] * (1.0 - y[0] * y[0]) - lower);
        }
        INLINE void solve(V* b) const {
            b[1] = (b[1] + lower * b[0]) * corner;
            b[0] = (b[0] + b[1]) * diagonal;
        }
    };
};

struct Robertson {
    static constexpr int N = 3, P = 1;  // k1 varies
    static constexpr double Y0[3] = {1, 0, 0}, K2 = 3e7, K3 = 1e4;
    template <class V>
    static INLINE void rhs(const V* y, const V* p, V* f) {
        const V decay = p[0] * y[0], pairing = K2 * y[1] * y[1], recycling = K3 * y[1] * y[2];
        f[0] = recycling - decay;
        f[1] = decay - recycling - pairing;
        f[2] = pairing;
    }
    // W = s I - J; a and c are eliminated first, the fast species b comes last, no pivoting.
    template <class V>
    struct System {
        V ia, ib, ic, from_a, from_c, a_by_b, a_by_c, c_by_b;
        INLINE System(const V* y, const V* p, V s, V inverse) : ic(inverse) {
            a_by_b = K3 * y[2];
            a_by_c = K3 * y[1];
            c_by_b = 2.0 * K2 * y[1];
            ia = 1.0 / (s + p[0]);
            from_a = p[0] * ia;
            from_c = (a_by_c - from_a * a_by_c) * ic;
            ib = 1.0 / (s + a_by_b + c_by_b - from_a * a_by_b + from_c * c_by_b);
        }
        INLINE void solve(V* b) const {
            b[1] = (b[1] + from_a * b[0] - from_c * b[2]) * ib;
            b[2] = (b[2] + c_by_b * b[1]) * ic;
            b[0] = (b[0] + a_by_b * b[1] + a_by_c * b[2]) * ia;
        }
    };
};

// Fixed step, every row the same number of steps. The states of BLOCK packs lie in the
// first-level cache and take one step each in turn: packs do not depend on one another, so the
// processor works on several at once, and a pack alone needs no more registers than there are.
template <class V, class System, int BLOCK>
void rk4(long n, const typename V::Number* p, typename V::Number* out, long steps, double dt) {
    using T = typename V::Number;
    constexpr int N = System::N;
    const T half = dt / 2, sixth = dt / 6, third = dt / 3, whole = dt;
    for (long row = 0; row < n; row += BLOCK * V::ROWS) {
        const int packs = n - row < BLOCK * V::ROWS ? (n - row) / V::ROWS : BLOCK;
        V state[BLOCK][N + 1];
        for (int b = 0; b < packs; ++b) {
            for (int i = 0; i < N; ++i) state[b][i] = V(T(System::Y0[i]));
            state[b][N] = V::load(p + row + b * V::ROWS);
        }
        for (long step = 0; step < steps; ++step)
            for (int b = 0; b < packs; ++b) {
                V* const y = state[b];
                const V* const par = y + N;
                V k[N], at[N], sum[N];
                System::rhs(y, par, k);
                for (int i = 0; i < N; ++i) at[i] = y[i] + k[i] * half, sum[i] = y[i] + k[i] * sixth;
                System::rhs(at, par, k);
                for (int i = 0; i < N; ++i) at[i] = y[i] + k[i] * half, sum[i] += k[i] * third;
                System::rhs(at, par, k);
                for (int i = 0; i < N; ++i) at[i] = y[i] + k[i] * whole, sum[i] += k[i] * third;
                System::rhs(at, par, k);
                for (int i = 0; i < N; ++i) y[i] = sum[i] + k[i] * sixth;
            }
        for (int b = 0; b < packs; ++b)
            for (int i = 0; i < N; ++i) state[b][i].store(out + i * n + row + b * V::ROWS);
    }
}

}  // namespace

#define EXPORT extern "C" __attribute__((visibility("default")))

// Rows are columns of `out` (N, n); n must be a multiple of 64 (the caller pads).
#define FIXED(name, T, R, B)                                                         \
    EXPORT void name(long n, const T* p, T* out, long steps, double dt) {            \
        rk4<Pack<T, R>, Lorenz, B>(n, p, out, steps, dt);                            \
    }
FIXED(lorenz_rk4_float64, double, 2, 4)
FIXED(lorenz_rk4_float64_no_blocks, double, 1, 1)
FIXED(lorenz_rk4_float32, float, 2, 4)
FIXED(lorenz_rk4_float32_no_blocks, float, 1, 1)

// counts: attempted lane-steps that served a row, lane-steps executed, rejected.
#define ADAPTIVE(name, Method, Model, R, B, refill)                                           \
    EXPORT void name(long n, const double* p, double* out, double end, double rtol,           \
                     double atol, long* counts) {                                             \
        adaptive<Method<Pack<double, R>, Model>, refill, B>(n, p, out, end, rtol, atol, counts); \
    }
#define BLOCKS(name, Method, Model, R, B)                       \
    ADAPTIVE(name, Method, Model, R, B, true)                   \
    ADAPTIVE(name##_no_blocks, Method, Model, 1, 1, true)       \
    ADAPTIVE(name##_no_refill, Method, Model, R, B, false)
BLOCKS(lorenz_tsit5, Tsit5, Lorenz, 2, 2)
BLOCKS(van_der_pol_tsit5, Tsit5, VanDerPol, 3, 2)
BLOCKS(van_der_pol_rodas5p, Rodas5p, VanDerPol, 3, 2)
BLOCKS(robertson_rodas5p, Rodas5p, Robertson, 3, 2)
ADAPTIVE(van_der_pol_rodas4, Rodas4, VanDerPol, 3, 2, true)
ADAPTIVE(robertson_rodas4, Rodas4, Robertson, 3, 2, true)

#include "reference_network.h"
