/* Every function of kernels/math.h over arrays, for the tests: out[i] = NAME(a[i], b[i]). */
#include "math.h"

#define TW_EXPORT extern "C" __attribute__((visibility("default")))
#define TW_OVER(name, expression)                                                       \
  TW_EXPORT void over_##name(const tw::real* a, const tw::real* b, tw::real* out, long n) { \
    using namespace tw;                                                                 \
    for (long i = 0; i < n; i += TW_LANES) {                                            \
      const Real x = load(a + i), y = load(b + i);                                      \
      (void)y;                                                                          \
      store(out + i, expression);                                                       \
    }                                                                                   \
  }

TW_EXPORT int lanes() { return TW_LANES; }
TW_OVER(exp, exp(x))
TW_OVER(expm1, expm1(x))
TW_OVER(tanh, tanh(x))
TW_OVER(log, log(x))
TW_OVER(sin, sin(x))
TW_OVER(cos, cos(x))
TW_OVER(tan, tan(x))
TW_OVER(pow, pow(x, y))
TW_OVER(sqrt0, sqrt0(x))
TW_OVER(minimum, minimum(x, y))
TW_OVER(maximum, maximum(x, y))
TW_OVER(step_pow, step_pow(x, y))
TW_OVER(exp2, exp2(x))
TW_OVER(sinh, sinh(x))
TW_OVER(cosh, cosh(x))
TW_OVER(sigmoid, sigmoid(x))
TW_OVER(silu, silu(x))
TW_OVER(gelu, gelu(x))
TW_OVER(gelu_tanh, gelu_tanh(x))
TW_OVER(softplus, softplus(x))
TW_OVER(erf, erf(x))
TW_OVER(erfc, erfc(x))
TW_OVER(log1p, log1p(x))
TW_OVER(log2, log2(x))
TW_OVER(log10, log10(x))
TW_OVER(asin, asin(x))
TW_OVER(acos, acos(x))
TW_OVER(atan, atan(x))
TW_OVER(asinh, asinh(x))
TW_OVER(acosh, acosh(x))
TW_OVER(atanh, atanh(x))
TW_OVER(relu, relu(x))
TW_OVER(sign, sign(x))
TW_OVER(atan2, atan2(x, y))
TW_OVER(fmod, fmod(x, y))
TW_OVER(remainder, remainder(x, y))
TW_OVER(hypot, hypot(x, y))
TW_OVER(powi_m3, powi(x, -3))
TW_OVER(powi_m2, powi(x, -2))
TW_OVER(powi_m1, powi(x, -1))
TW_OVER(powi_0, powi(x, 0))
TW_OVER(powi_2, powi(x, 2))
TW_OVER(powi_3, powi(x, 3))
TW_OVER(powi_4, powi(x, 4))
TW_OVER(powi_5, powi(x, 5))
TW_OVER(sqrt, sqrt(x))
TW_OVER(abs, abs(x))
TW_OVER(floor, floor(x))
TW_OVER(ceil, ceil(x))
TW_OVER(trunc, trunc(x))
TW_OVER(round_even, round_even(x))
TW_OVER(copysign, copysign(x, y))
