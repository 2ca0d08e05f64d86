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
