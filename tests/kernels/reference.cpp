/* The functions of kernels/math.h in long double, and in __float128 where a formula would lose
 * more than long double has to spare: out[i] = NAME(a[i], b[i]). For the tests; x86-64 with g++. */
#include <quadmath.h>

#include <cmath>

using quad = __float128;
using wide = long double;

#define OVER(name, expression)                                                            \
  extern "C" void reference_##name(const double* a, const double* b, wide* out, long n) { \
    for (long i = 0; i < n; ++i) {                                                        \
      const wide x = a[i], y = b[i];                                                      \
      (void)y;                                                                            \
      out[i] = expression;                                                                \
    }                                                                                     \
  }

static wide sigmoid(wide x) { return x < 0 ? expl(x) / (1 + expl(x)) : 1 / (1 + expl(-x)); }

static wide softplus(wide x) { return x > 20 ? x : log1pl(expl(x)); }

static wide gelu(wide x) {
  const quad q = x;
  return x >= 0 && x < 1e-3L ? (wide)(q * (1 + erfq(q * M_SQRT1_2q)) / 2)
                             : (wide)(q * erfcq(-q * M_SQRT1_2q) / 2);
}

static wide gelu_tanh(wide x) {
  const quad q = x;
  const quad u = 2 * sqrtq(M_2_PIq) * (q + 0.044715 * q * q * q);
  return (wide)(u < 0 ? q * expq(u) / (1 + expq(u)) : q / (1 + expq(-u)));
}

static wide remainder_of_divisor(wide x, wide y) {
  const wide r = fmodl(x, y);
  return r != 0 && (r < 0) != (y < 0) ? r + y : r;
}

OVER(exp, expl(x))
OVER(exp2, exp2l(x))
OVER(expm1, expm1l(x))
OVER(tanh, tanhl(x))
OVER(sinh, sinhl(x))
OVER(cosh, coshl(x))
OVER(sigmoid, sigmoid(x))
OVER(silu, x* sigmoid(x))
OVER(softplus, softplus(x))
OVER(gelu, gelu(x))
OVER(gelu_tanh, gelu_tanh(x))
OVER(erf, erfl(x))
OVER(erfc, (wide)erfcq(x))
OVER(log, logl(x))
OVER(log1p, log1pl(x))
OVER(log2, log2l(x))
OVER(log10, log10l(x))
OVER(sin, sinl(x))
OVER(cos, cosl(x))
OVER(tan, tanl(x))
OVER(asin, asinl(x))
OVER(acos, acosl(x))
OVER(atan, atanl(x))
OVER(asinh, asinhl(x))
OVER(acosh, acoshl(x))
OVER(atanh, atanhl(x))
OVER(atan2, atan2l(x, y))
OVER(pow, powl(x, y))
OVER(fmod, fmodl(x, y))
OVER(remainder, remainder_of_divisor(x, y))
OVER(hypot, hypotl(x, y))
