/* Every function of kernels/math.h over arrays, for the tests: out[i] = NAME(a[i], b[i]). */
#include "math.h"
#include "step_log.h"

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
TW_OVER(step_log2, step_log2(x))
TW_OVER(step_exp2, step_exp2(x))
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
TW_OVER(powi_31, powi(x, 31))
TW_OVER(powi_m32, powi(x, -32))
TW_OVER(sqrt, sqrt(x))
TW_OVER(abs, abs(x))
TW_OVER(floor, floor(x))
TW_OVER(ceil, ceil(x))
TW_OVER(trunc, trunc(x))
TW_OVER(round_even, round_even(x))
TW_OVER(copysign, copysign(x, y))

/* Called with FloatMode around it, as an entry function does. */
TW_BIG void halve(const tw::real* a, tw::real* out, long n) {
  for (long i = 0; i < n; i += TW_LANES) tw::store(out + i, tw::load(a + i) * tw::Real(0.5));
}
TW_EXPORT void ieee_half(const tw::real* a, tw::real* out, long n) {
  tw::FloatMode mode;
  halve(a, out, n);
}
TW_EXPORT void plain_half(const tw::real* a, tw::real* out, long n) { halve(a, out, n); }

/* Every operation of a lane against the scalar one, lane by lane: the line of the first that
 * differs, or 0. */
#define TW_EXPECT(one, lane_value) \
  if (!(get(lane_value, i) == (one))) return __LINE__;
TW_EXPORT int lane_fault(const tw::real* a, const tw::real* b) {
  using namespace tw;
  const Real x = load(a), y = load(b);
  const Int m = to_int(x), n = to_int(y);
  Real changed = x;
  Int changed_int = m;
  Mask changed_mask = x < y;
  for (int i = 0; i < TW_LANES; ++i) {
    const real p = a[i], q = b[i];
    const integer j = (integer)p, k = (integer)q;
    TW_EXPECT(p, x)
    TW_EXPECT(p + q, x + y)
    TW_EXPECT(p - q, x - y)
    TW_EXPECT(p * q, x * y)
    TW_EXPECT(p / q, x / y)
    TW_EXPECT(-p, -x)
    TW_EXPECT(p < q, x < y)
    TW_EXPECT(p <= q, x <= y)
    TW_EXPECT(p > q, x > y)
    TW_EXPECT(p >= q, x >= y)
    TW_EXPECT(p == q, x == y)
    TW_EXPECT(p != q, x != y)
    TW_EXPECT(p < q && p > 0, (x < y) & (x > Real(0.0)))
    TW_EXPECT(p < q || p > 0, (x < y) | (x > Real(0.0)))
    TW_EXPECT((p < q) != (p > 0), (x < y) ^ (x > Real(0.0)))
    TW_EXPECT(!(p < q), !(x < y))
    TW_EXPECT(p < q ? p : q, min(x, y))
    TW_EXPECT(p > q ? p : q, max(x, y))
    TW_EXPECT(p < q ? q : p, select(x < y, y, x))
    TW_EXPECT(p < q ? j : k, select(x < y, m, n))
    TW_EXPECT(TW_SCALAR(fma)(p, q, p), fma(x, y, x))
    TW_EXPECT(TW_SCALAR(fma)(-p, q, p), fnma(x, y, x))
    TW_EXPECT(p < 0, signbit(x))
    TW_EXPECT(j, m)
    TW_EXPECT((real)j, to_real(m))
    TW_EXPECT(j + k, m + n)
    TW_EXPECT(j - k, m - n)
    TW_EXPECT(j * k, m * n)
    TW_EXPECT(j & k, m & n)
    TW_EXPECT(j | k, m | n)
    TW_EXPECT(j ^ k, m ^ n)
    TW_EXPECT(j < k, m < n)
    TW_EXPECT(j >= k, m >= n)
    TW_EXPECT(j == k, m == n)
    TW_EXPECT((integer)((natural)j << 3), shl(m, 3))
    TW_EXPECT((integer)((natural)j >> 3), shr(m, 3))
    TW_EXPECT(a[k & 3], gather(a, n & Int(3)))
    TW_EXPECT(p, from_bits(bits(x)))
    set(changed, i, q);
    set(changed_int, i, k);
    set(changed_mask, i, !(p < q));
    TW_EXPECT(q, changed)
    TW_EXPECT(k, changed_int)
    TW_EXPECT(!(p < q), changed_mask)
  }
  for (int i = 0; i < TW_LANES; ++i) {
    Mask one(false);
    if (any(one) || !none(one) || all(one)) return __LINE__;
    set(one, i, true);
    if (!any(one) || none(one) || all(one) != (TW_LANES == 1)) return __LINE__;
    if (!all(one | !one)) return __LINE__;
  }
  return 0;
}
