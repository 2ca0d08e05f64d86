// Tsit5, Rodas4 and Rodas5P for packs: one trial step each. Unrolled over constant tableaus.
#pragma once
#include "reference_pack.h"

namespace {

template <class V>
INLINE void add(V& sum, V term, double weight, int number) {
    sum = number ? sum + term * weight : term * weight;
}

// Tsitouras (2011), Comput. Math. Appl. 62.
constexpr double TSIT_A[7][6] = {
    {},
    {0.161},
    {-0.008480655492356989, 0.335480655492357},
    {2.8971530571054935, -6.359448489975075, 4.3622954328695815},
    {5.325864828439257, -11.748883564062828, 7.4955393428898365, -0.09249506636175525},
    {5.86145544294642, -12.92096931784711, 8.159367898576159, -0.071584973281401, -0.028269050394068383},
    {0.09646076681806523, 0.01, 0.4798896504144996, 1.379008574103742, -3.290069515436081,
     2.324710524099774}};
constexpr double TSIT_E[7] = {0.001780011052225771, 0.0008164344596567469, -0.007880878010261995,
                              0.1447110071732629, -0.5823571654525552, 0.45808210592918697,
                              -1.0 / 66};

template <class Pack, class Model>
struct Tsit5 {
    using V = Pack;
    using System = Model;
    static constexpr int N = System::N, Q = 5, CARRIED = N;  // slopes kept between steps
    V first[N], last[N];

    Tsit5() { for (auto& v : first) v = V(0.0); }

    INLINE void accept(V mask) {
        for (int i = 0; i < N; ++i) first[i] = V::choose(mask, last[i], first[i]);
    }
    INLINE void trial(const V* y, const V* p, V h, V* y1, V* error) {
        // Two weighted sums at a time, stage by stage: each slope is read once for both.
        V k[7][N], at[N], sum[2][N];
        for (int i = 0; i < N; ++i) k[0][i] = first[i];
        for (int i = 0; i < N; ++i) at[i] = y[i] + h * (k[0][i] * TSIT_A[1][0]);
        System::rhs(at, p, k[1]);
#pragma GCC unroll 8
        for (int s = 2; s < 7; s += 2) {
            const double* ahead = s + 1 < 7 ? TSIT_A[s + 1] : TSIT_E;
#pragma GCC unroll 8
            for (int j = 0; j < s; ++j) {
                for (int i = 0; i < N; ++i) add(sum[0][i], k[j][i], TSIT_A[s][j], j);
                for (int i = 0; i < N; ++i) add(sum[1][i], k[j][i], ahead[j], j);
            }
            for (int i = 0; i < N; ++i) at[i] = y[i] + h * sum[0][i];
            System::rhs(at, p, k[s]);
            for (int i = 0; i < N; ++i) sum[1][i] += k[s][i] * ahead[s];
            if (s == 6) break;
            for (int i = 0; i < N; ++i) at[i] = y[i] + h * sum[1][i];
            System::rhs(at, p, k[s + 1]);
        }
        for (int i = 0; i < N; ++i) {
            y1[i] = at[i];
            error[i] = h * sum[1][i];
            last[i] = k[6][i];
        }
    }
};

// Autonomous Rosenbrock methods in the form without matrix products; see twinml.solve.rosenbrock.
struct Rodas4Table {  // Hairer, Wanner (1996), Solving ODEs II, code RODAS
    static constexpr int S = 6, ORDER = 4;
    static constexpr double GAMMA = 0.25;
    static constexpr double A[6][5] = {
        {},
        {1.544},
        {0.9466785280815826, 0.2557011698983284},
        {3.314825187068521, 2.896124015972201, 0.9986419139977817},
        {1.221224509226641, 6.019134481288629, 12.53708332932087, -0.6878860361058950},
        {1.221224509226641, 6.019134481288629, 12.53708332932087, -0.6878860361058950, 1}};
    static constexpr double C[6][5] = {
        {},
        {-5.6688},
        {-2.430093356833875, -0.2063599157091915},
        {-0.1073529058151375, -9.594562251023355, -20.47028614809616},
        {7.496443313967647, -10.24680431464352, -33.99990352819905, 11.70890893206160},
        {8.083246795921522, -7.981132988064893, -31.52159432874371, 16.31930543123136,
         -6.058818238834054}};
};

struct Rodas5pTable {  // Steinebach (2023), BIT 63
    static constexpr int S = 8, ORDER = 5;
    static constexpr double GAMMA = 0.21193756319429014;
    static constexpr double A[8][7] = {
        {},
        {3.0},
        {2.849394379747939, 0.45842242204463923},
        {-6.954028509809101, 2.489845061869568, -10.358996098473584},
        {2.8029986275628964, 0.5072464736228206, -0.3988312541770524, -0.04721187230404641},
        {-7.502846399306121, 2.561846144803919, -11.627539656261098, -0.18268767659942256,
         0.030198172008377946},
        {-7.502846399306121, 2.561846144803919, -11.627539656261098, -0.18268767659942256,
         0.030198172008377946, 1},
        {-7.502846399306121, 2.561846144803919, -11.627539656261098, -0.18268767659942256,
         0.030198172008377946, 1, 1}};
    static constexpr double C[8][7] = {
        {},
        {-14.155112264123755},
        {-17.97296035885952, -2.859693295451294},
        {147.12150275711716, -1.41221402718213, 71.68940251302358},
        {165.43517024871676, -0.4592823456491126, 42.90938336958603, -5.961986721573306},
        {24.854864614690072, -3.0009227002832186, 47.4931110020768, 5.5814197821558125,
         -0.6610691825249471},
        {30.91273214028599, -3.1208243349937974, 77.79954646070892, 34.28646028294783,
         -19.097331116725623, -28.087943162872662},
        {37.80277123390563, -3.2571969029072276, 112.26918849496327, 66.9347231244047,
         -40.06618937091002, -54.66780262877968, -9.48861652309627}};
};

template <class Pack, class Model, class Table>
struct Rosenbrock {
    using V = Pack;
    using System = Model;
    static constexpr int N = System::N, Q = Table::ORDER, S = Table::S, CARRIED = 0;
    V first[1];

    INLINE void accept(V) {}
    INLINE void trial(const V* y, const V* p, V h, V* y1, V* error) {
        // The last stages' arguments grow by one stage each: at[i] is kept and added to.
        V u[S][N], at[N];
        const V inverse = 1.0 / h, shift = inverse * (1 / Table::GAMMA);
        const typename System::template System<V> w(y, p, shift, h * Table::GAMMA);
        System::rhs(y, p, u[0]);
        w.solve(u[0]);
        V sum[N], ahead[N];
#pragma GCC unroll 8
        for (int s = 1; s < S; ++s) {
            const bool grows = Table::A[s][s - 1] == 1, known = grows && Table::A[s - 1][s - 2] == 1;
            if (!grows)
                for (int i = 0; i < N; ++i) at[i] = y[i];
            // Each stage is read once for the argument and the right side, or for two right sides.
#pragma GCC unroll 8
            for (int j = 0; j < s; ++j) {
                if (known) continue;
                for (int i = 0; i < N; ++i) {
                    if (!grows) at[i] += u[j][i] * Table::A[s][j];
                    add(sum[i], u[j][i], Table::C[s][j], j);
                    if (grows && s + 1 < S) add(ahead[i], u[j][i], Table::C[s + 1][j], j);
                }
            }
            for (int i = 0; i < N; ++i) {
                if (grows) at[i] += u[s - 1][i];
                if (known) sum[i] = ahead[i] + u[s - 1][i] * Table::C[s][s - 1];
            }
            System::rhs(at, p, u[s]);
            for (int i = 0; i < N; ++i) u[s][i] += sum[i] * inverse;
            w.solve(u[s]);
        }
        for (int i = 0; i < N; ++i) {
            error[i] = u[S - 1][i];
            y1[i] = at[i] + error[i];
        }
    }
};

template <class V, class System>
using Rodas4 = Rosenbrock<V, System, Rodas4Table>;
template <class V, class System>
using Rodas5p = Rosenbrock<V, System, Rodas5pTable>;

}  // namespace
