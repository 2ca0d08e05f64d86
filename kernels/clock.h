/* Time of a row. In a float64 kernel a lane of float64; in a float32 kernel the unevaluated sum of
 * two float32, so that a long run loses no time and the kernel holds no float64 arithmetic.
 * Sums: Knuth (1969), TAOCP 2, sec. 4.2.2; products with fma: Dekker (1971) as in Ogita, Rump,
 * Oishi (2005), SIAM J. Sci. Comput. 26.
 */
#ifndef TWINML_CLOCK_H
#define TWINML_CLOCK_H

namespace tw {

#if TW_BITS == 64

typedef Real Clock;
/* The smallest relative change of a time that counts. */
#define TW_CLOCK_EPS real(2.220446049250313e-16)

TW_FN Clock clock_of(stamp t) { return Clock(t); }
TW_FN Clock no_time() { return Clock(TW_NAN); }
TW_FN stamp get_clock(const Clock& t, int lane) { return get(t, lane); }
TW_FN void set_clock(Clock& t, int lane, stamp value) { set(t, lane, value); }
TW_FN Clock advance(const Clock& t, const Real& h) { return t + h; }
TW_FN Real span(const Clock& a, const Clock& b) { return a - b; }
TW_FN Real now(const Clock& t) { return t; }
TW_FN Clock pick(const Mask& m, const Clock& a, const Clock& b) { return select(m, a, b); }
TW_FN Mask same_time(const Clock& a, const Clock& b) { return a == b; }
TW_FN Mask before(const Clock& a, const Clock& b) { return a < b; }
/* origin + ticks * width, from the integer. */
TW_FN Clock tick(const Clock& origin, const Clock& width, const Int& ticks) {
  return origin + width * to_real(ticks);
}
TW_FN Clock scaled(const Clock& t, real sign) { return t * Real(sign); }

TW_FN real now_of(stamp t) { return t; }
TW_FN bool stamp_before(stamp a, stamp b) { return a < b; }
TW_FN bool stamp_same(stamp a, stamp b) { return a == b; }
TW_FN real stamp_span(stamp a, stamp b) { return a - b; }
TW_FN stamp stamp_scaled(stamp a, real sign) { return a * sign; }
TW_FN stamp stamp_infinite(real sign) { return sign * TW_INFINITY; }
TW_FN stamp stamp_nan() { return TW_NAN; }
TW_FN stamp stamp_tick(stamp origin, stamp width, count ticks) {
  return origin + width * real(ticks);
}
TW_FN stamp stamp_plus(stamp a, stamp b) { return a + b; }

#else

struct Clock {
  Real high, low;
};
#define TW_CLOCK_EPS real(7.105427357601002e-15) /* 2^-47 */

TW_FN Clock clock_of(stamp t) {
  Clock c;
  c.high = Real(t.high);
  c.low = Real(t.low);
  return c;
}
TW_FN stamp get_clock(const Clock& t, int lane) {
  stamp s;
  s.high = get(t.high, lane);
  s.low = get(t.low, lane);
  return s;
}
TW_FN void set_clock(Clock& t, int lane, stamp value) {
  set(t.high, lane, value.high);
  set(t.low, lane, value.low);
}
TW_FN Clock two_sum(const Real& a, const Real& b) {
  Clock c;
  c.high = a + b;
  Real part = c.high - a;
  c.low = (a - (c.high - part)) + (b - part);
  return c;
}
TW_FN Clock quick_sum(const Real& a, const Real& b) {
  Clock c;
  c.high = a + b;
  c.low = b - (c.high - a);
  return c;
}
TW_FN Clock pick(const Mask& m, const Clock& a, const Clock& b) {
  Clock c;
  c.high = select(m, a.high, b.high);
  c.low = select(m, a.low, b.low);
  return c;
}
TW_FN Clock advance(const Clock& t, const Real& h) {
  Clock sum = two_sum(t.high, h);
  Clock c = quick_sum(sum.high, sum.low + t.low);
  /* An infinite time has no low part. */
  return pick(isfinite(sum.high), c, Clock{sum.high, Real(real(0))});
}
TW_FN Real span(const Clock& a, const Clock& b) {
  Clock high = two_sum(a.high, -b.high);
  Real rest = high.low + (a.low - b.low);
  return select(isfinite(high.high), high.high + rest, high.high);
}
TW_FN Real now(const Clock& t) { return t.high; }
TW_FN Mask same_time(const Clock& a, const Clock& b) {
  return (a.high == b.high) & (a.low == b.low);
}
TW_FN Mask before(const Clock& a, const Clock& b) {
  return (a.high < b.high) | ((a.high == b.high) & (a.low < b.low));
}
/* Ticks above 2^24 are split, so that each product is of exact factors. */
TW_FN Clock tick(const Clock& origin, const Clock& width, const Int& ticks) {
  Int upper = shl(shr(ticks, 12), 12);
  Clock sum = origin;
  Real parts[2] = {to_real(upper), to_real(ticks - upper)};
  for (int i = 0; i < 2; ++i) {
    Real product = width.high * parts[i];
    Real error = fma(width.high, parts[i], -product);
    error = fma(width.low, parts[i], error);
    sum = advance(advance(sum, product), error);
  }
  return sum;
}
TW_FN Clock scaled(const Clock& t, real sign) {
  Clock c;
  c.high = t.high * Real(sign);
  c.low = t.low * Real(sign);
  return c;
}

TW_FN real now_of(stamp t) { return t.high; }
TW_FN bool stamp_before(stamp a, stamp b) {
  return a.high < b.high || (a.high == b.high && a.low < b.low);
}
TW_FN bool stamp_same(stamp a, stamp b) { return a.high == b.high && a.low == b.low; }
TW_FN real stamp_span(stamp a, stamp b) { return (a.high - b.high) + (a.low - b.low); }
TW_FN stamp stamp_scaled(stamp a, real sign) {
  stamp s;
  s.high = a.high * sign;
  s.low = a.low * sign;
  return s;
}
TW_FN stamp stamp_infinite(real sign) {
  stamp s;
  s.high = sign * TW_INFINITY;
  s.low = 0;
  return s;
}
TW_FN stamp stamp_nan() {
  stamp s;
  s.high = TW_NAN;
  s.low = 0;
  return s;
}
TW_FN Clock no_time() { return clock_of(stamp_nan()); }
TW_FN stamp stamp_sum(stamp t, real h) {
  real high = t.high + h;
  real part = high - t.high;
  real low = (t.high - (high - part)) + (h - part) + t.low;
  stamp s;
  s.high = high + low;
  s.low = low - (s.high - high);
  return s;
}
TW_FN stamp stamp_plus(stamp a, stamp b) { return stamp_sum(stamp_sum(a, b.high), b.low); }
TW_FN stamp stamp_tick(stamp origin, stamp width, count ticks) {
  const count upper = ticks & ~count(0xfff);
  const real parts[2] = {real(upper), real(ticks - upper)};
  stamp sum = origin;
  for (int i = 0; i < 2; ++i) {
    real product = width.high * parts[i];
    real error = TW_SCALAR_FMA(width.low, parts[i],
                               TW_SCALAR_FMA(width.high, parts[i], -product));
    sum = stamp_sum(stamp_sum(sum, product), error);
  }
  return sum;
}

#endif

}  // namespace tw

#endif
