/* sin, cos, tan: x = j (pi / 2) + r, with r in two parts. */
#ifndef TW_MATH_TRIG_H
#define TW_MATH_TRIG_H

#include "math_base.h"

namespace tw {

/* pi / 2 in parts. The product of the first with j is exact inside fma, since x - j pi/2 is below 2
 * and counts in its last bits; those of the middle ones are exact while |j| <= 2^20 (2^14 for 32
 * bits): they have that many bits less. */
#define TW_PI_2_HI TW_C(0x1.921fb54442d18p0, 0x1.921fb6p0f)
#define TW_PI_2_MIDDLE TW_C(0x1.1a626331p-54, -0x1.778p-25f)
#define TW_PI_2_FURTHER 0x1.69p-39f /* 32 bits only */
#define TW_PI_2_LO TW_C(0x1.1701b839a252p-88, -0x1.ee59dap-50f)
#define TW_1_PI TW_C(0x1.45f306dc9c883p-2, 0x1.45f306p-2f)
#define TW_2_PI TW_C(0x1.45f306dc9c883p-1, 0x1.45f306p-1f)
#define TW_TRIG_RANGE TW_C(1.6e6, 25000.0f)

/* The bits of 2 / pi after the point. */
TW_TABLE unsigned int TWO_OVER_PI[] = {
    0xa2f9836eu, 0x4e441529u, 0xfc2757d1u, 0xf534ddc0u, 0xdb629599u, 0x3c439041u, 0xfe5163abu,
    0xdebbc561u, 0xb7246e3au, 0x424dd2e0u, 0x06492eeau, 0x09d1921cu, 0xfe1deb1cu, 0xb129a73eu,
    0xe88235f5u, 0x2ebb4484u, 0xe99c7026u, 0xb45f7e41u, 0x3991d639u, 0x835339f4u, 0x9c845f8bu,
    0xbdf9283bu, 0x1ff897ffu, 0xde05980fu, 0xef2f118bu, 0x5a0a6d1fu, 0x6d367ecfu, 0x27cb09b7u,
    0x4f463f66u, 0x9e5fea2du, 0x7527bac7u, 0xebe5f17bu, 0x3d0739f7u, 0x8a5292eau, 0x6bfb5fb1u,
    0x1f8d5d08u, 0x56033046u, 0xfc7b6babu, 0xf0cfbc20u, 0x9af4361du,
};

/* One value x = j (pi / 2) + hi + lo, |hi| <= pi / 4; j is kept modulo 4. */
struct HugeAngle {
  real hi, lo;
  int j;
};

/* Words of 2 / pi that decide: 2 for the mantissa and the shift, the rest for what cancels. */
#define TW_PI_WORDS TW_C(7, 4)

/* Payne and Hanek (1983): only the bits of 2 / pi that count modulo 4 are multiplied. */
TW_BIG HugeAngle huge_angle(real x_bits_of) {
  const Int all_bits = bits(Real(x_bits_of));
  const integer raw = get(all_bits, 0);
  const int field = (int)((raw >> TW_MANTISSA) & TW_C(0x7ff, 0xff));
  const unsigned long long mantissa =
      (unsigned long long)((raw & TW_MANTISSA_MASK) | (TW_MANTISSA_MASK + 1));
  const int exponent = field - TW_BIAS - TW_MANTISSA; /* |x| = mantissa * 2^exponent */
  const int word = exponent >= 2 ? (exponent - 2) / 32 : 0;

  /* mantissa * window, from the last word upwards. */
  unsigned int product[TW_PI_WORDS + 2];
  const unsigned long long low = mantissa & 0xffffffffu, high = mantissa >> 32;
  unsigned long long carry = 0, before = 0;
  for (int i = 0; i < TW_PI_WORDS; ++i) {
    const unsigned long long digit = TWO_OVER_PI[word + TW_PI_WORDS - 1 - i];
    const unsigned long long a = low * digit;
    const unsigned long long b = high * before;
    const unsigned long long sum = (a & 0xffffffffu) + (b & 0xffffffffu) + (carry & 0xffffffffu);
    product[i] = (unsigned int)sum;
    carry = (carry >> 32) + (a >> 32) + (b >> 32) + (sum >> 32);
    before = digit;
  }
  const unsigned long long top = high * before + carry;
  product[TW_PI_WORDS] = (unsigned int)top;
  product[TW_PI_WORDS + 1] = (unsigned int)(top >> 32);

  /* Bit `units` of the product counts 1; above it stand the two bits of j. */
  const int units = 32 * (word + TW_PI_WORDS) - exponent;
  unsigned long long part[3]; /* 2 bits of j and 190 of the fraction, from the top */
  for (int i = 0; i < 3; ++i) {
    const int last = units - 62 - 64 * i;
    const int at = last >> 5, shift = last & 31;
    unsigned long long word_of[3];
    for (int k = 0; k < 3; ++k) {
      word_of[k] = at + k >= 0 && at + k < TW_PI_WORDS + 2 ? product[at + k] : 0u;
    }
    unsigned long long value = (word_of[0] | (word_of[1] << 32)) >> shift;
    if (shift) value |= word_of[2] << (64 - shift);
    part[i] = value;
  }
  int j = (int)(part[0] >> 62);
  unsigned long long f0 = (part[0] << 2) | (part[1] >> 62);
  unsigned long long f1 = (part[1] << 2) | (part[2] >> 62);
  bool negative = false;
  if (f0 >> 63) { /* 1/2 and above: from the next multiple downwards */
    f1 = ~f1 + 1;
    f0 = ~f0 + (f1 == 0 ? 1 : 0);
    j += 1;
    negative = true;
  }
  real unit = real(1);
  for (int i = 0; i < 120 && !(f0 >> 63); ++i) {
    f0 = (f0 << 1) | (f1 >> 63);
    f1 <<= 1;
    unit *= real(0.5);
  }
  /* Two mantissas of the fraction, then times pi / 2. */
  const real first = (real)(long long)(f0 >> (63 - TW_MANTISSA));
  const unsigned long long left = (f0 << (TW_MANTISSA + 1)) | (f1 >> (63 - TW_MANTISSA));
  const real second = (real)(long long)(left >> (63 - TW_MANTISSA));
  const real scale = TW_C(0x1p-53, 0x1p-24f);
  const Pair fraction = {Real(first * scale * unit), Real(second * scale * scale * unit)};
  const Pair half_pi = {Real(TW_PI_2_HI), Real(TW_C(0x1.1a62633145c07p-54, -0x1.777a5cp-25f))};
  const Pair scaled_up = tw::product(fraction, half_pi);
  const Pair r = fast_sum(scaled_up.hi, scaled_up.lo);
  HugeAngle angle = {get(r.hi, 0), get(r.lo, 0), j & 3};
  if (negative) angle.hi = -angle.hi, angle.lo = -angle.lo;
  if (raw < 0) angle.hi = -angle.hi, angle.lo = -angle.lo, angle.j = -j & 3;
  if (field == TW_C(0x7ff, 0xff)) angle.hi = x_bits_of - x_bits_of, angle.lo = angle.hi;
  return angle;
}

struct Angle {
  Pair r;
  Int j; /* its last bits count */
};

/* r and j in the lanes of `rare`, nothing of use in the others. With `odd` 0 or 1, j is made even or
 * odd by a quarter turn towards zero, r grows to pi / 2, and j counts half turns from there; with
 * `odd` 2 all stays. A real function, called seldom, that takes lanes out one by one. */
TW_BIG Angle huge_angles(Real x, Mask rare, int odd) {
  Angle angle = {Pair{Real(0.0), Real(0.0)}, Int(0)};
  for (int lane = 0; lane < TW_LANES; ++lane) {
    if (!get(rare, lane)) continue;
    const HugeAngle one = huge_angle(get(x, lane));
    set(angle.r.hi, lane, one.hi);
    set(angle.r.lo, lane, one.lo);
    set(angle.j, lane, (integer)one.j);
  }
  if (odd == 2) return angle;
  const Mask turn = (angle.j & Int(1)) != Int(odd);
  const Mask up = angle.r.hi > Real(0.0);
  const Pair half_pi = {Real(TW_PI_2_HI), Real(TW_C(0x1.1a62633145c07p-54, -0x1.777a5cp-25f))};
  Pair r = fast_sum(select(up, -half_pi.hi, half_pi.hi), angle.r.hi);
  r.lo += angle.r.lo + select(up, -half_pi.lo, half_pi.lo);
  angle.r = select(turn, r, angle.r);
  angle.j = shr(select(turn, angle.j + select(up, Int(1), Int(-1)), angle.j), 1);
  return angle;
}

/* first - j (pi/2 - TW_PI_2_HI), for |j| within the range above: where a difference is rounded the
 * product is the smaller of the two, and what is lost is found exactly. */
TW_FN Pair less_small_parts(Real first, Real j) {
  const Real second = fnma(j, Real(TW_PI_2_MIDDLE), first);
  Real lo = fnma(j, Real(TW_PI_2_MIDDLE), first - second);
#if TW_BITS == 64
  const Real hi = second;
#else
  const Real hi = fnma(j, Real(TW_PI_2_FURTHER), second);
  lo += fnma(j, Real(TW_PI_2_FURTHER), second - hi);
#endif
  return Pair{hi, fnma(j, Real(TW_PI_2_LO), lo)};
}

/* x - j pi/2 */
TW_FN Pair trig_rest(Real x, Real j) {
  return less_small_parts(fnma(j, Real(TW_PI_2_HI), x), j);
}

/* (sin(r) - r + r^3 / 6) / r^5 over z = r^2, |r| <= pi / 2. */
TW_FN Real sin_poly(Real z) {
  return poly(z, TW_POLY(TW_LIST(0x1.11111111110dbp-7, -0x1.a01a01a016d24p-13,
                                 0x1.71de3a53e6adep-19, -0x1.ae6455aad533ep-26,
                                 0x1.61241c44837c9p-33, -0x1.ae64d6f71809ep-41,
                                 0x1.8fa51b4020669p-49, -0x1.5fbb82213aeefp-58),
                         TW_LIST(0x1.110eep-7f, -0x1.9f728p-13f, 0x1.5de1f4p-19f)));
}

/* The cubic term stands alone: rounded with the rest, near pi / 2, it would cost half a unit. */
TW_FN Real sin_of(Pair r) {
  const Real z = r.hi * r.hi;
  const Real cube = r.hi * z;
  /* cos(r) roughly: r.lo is below the last place. */
  const Real slope = fma(z, Real(-0.405), Real(1.0));
  const Real rest = fma(cube, z * sin_poly(z), r.lo * slope);
  return r.hi + fma(cube, Real(TW_C(-0x1.5555555555555p-3, -0x1.55554cp-3f)), rest);
}

TW_FN Real flipped(Real y, Int by_last_bit) {
  return from_bits(bits(y) ^ shl(by_last_bit, TW_BITS - 1));
}

TW_MATH Real sin(Real x) {
  const Real shifted = fma(x, Real(TW_1_PI), Real(TW_SHIFT));
  const Real k = shifted - Real(TW_SHIFT);
  Angle angle = {trig_rest(x, k + k), bits(shifted)};
  const Mask rare = !(abs(x) <= Real(TW_TRIG_RANGE));
  if (any(rare)) {
    const Angle huge = huge_angles(x, rare, 0);
    angle.r = select(rare, huge.r, angle.r);
    angle.j = select(rare, huge.j, angle.j);
  }
  const Real y = flipped(sin_of(angle.r), angle.j);
  return select(x == Real(0.0), x, y); /* keeps -0 */
}

/* sin of (2 k + 1) pi/2 - |x|, with the sign of (-1)^k. */
TW_MATH Real cos(Real x) {
  const Real size = abs(x);
  const Real shifted = fma(size, Real(TW_1_PI), Real(-0.5)) + Real(TW_SHIFT);
  const Real k = shifted - Real(TW_SHIFT);
  const Real j = k + k + Real(1.0);
  /* For |x| < 1 the first difference is rounded; `error` is what it lost. */
  const Real first = fma(j, Real(TW_PI_2_HI), -size);
  const Real error = fma(j, Real(TW_PI_2_HI), -first) - size;
  Pair r = less_small_parts(first, -j);
  r.lo += error;
  Angle angle = {r, bits(shifted)};
  const Mask rare = !(size <= Real(TW_TRIG_RANGE));
  if (any(rare)) {
    const Angle huge = huge_angles(size, rare, 1);
    angle.r = select(rare, Pair{-huge.r.hi, -huge.r.lo}, angle.r);
    angle.j = select(rare, huge.j, angle.j);
  }
  return flipped(sin_of(angle.r), angle.j);
}

/* (sin(r) - r) / r^3 and (cos(r) - 1 + r^2 / 2) / r^4 over z = r^2, |r| <= pi / 4. */
TW_FN Real sin_quarter_poly(Real z) {
  return poly(z, TW_POLY(TW_LIST(-0x1.5555555555548p-3, 0x1.111111110f76cp-7,
                                 -0x1.a01a019bf47c8p-13, 0x1.71de356101f76p-19,
                                 -0x1.ae5e55ce16221p-26, 0x1.5d8e865cf0aa1p-33),
                         TW_LIST(-0x1.555546p-3f, 0x1.11077ap-7f, -0x1.9954a8p-13f)));
}
TW_FN Real cos_quarter_poly(Real z) {
  return poly(z, TW_POLY(TW_LIST(0x1.555555555554bp-5, -0x1.6c16c16c1503fp-10,
                                 0x1.a01a019c95689p-16, -0x1.27e4f7f6ea6fcp-22,
                                 0x1.1ee9dfb7cf91ep-29, -0x1.8fa8985847226p-37),
                         TW_LIST(0x1.55554ap-5f, -0x1.6c0c2cp-10f, 0x1.99e9d4p-16f)));
}

/* sin(r) / cos(r), or -cos(r) / sin(r) where j is odd. */
TW_MATH Real tan(Real x) {
  const Real shifted = fma(x, Real(TW_2_PI), Real(TW_SHIFT));
  Angle angle = {trig_rest(x, shifted - Real(TW_SHIFT)), bits(shifted)};
  const Mask rare = !(abs(x) <= Real(TW_TRIG_RANGE));
  if (any(rare)) {
    const Angle huge = huge_angles(x, rare, 2);
    angle.r = select(rare, huge.r, angle.r);
    angle.j = select(rare, huge.j, angle.j);
  }
  const Pair r = angle.r;
  const Real z = r.hi * r.hi;
  const Real half = Real(0.5) * z;
  const Real half_lo = fma(Real(0.5) * r.hi, r.hi, -half);
  const Pair s = fast_sum(r.hi, fma(r.hi * z, sin_quarter_poly(z), fnma(r.lo, half, r.lo)));
  Pair c = fast_sum(Real(1.0), -half);
  c.lo += fma(z * z, cos_quarter_poly(z), fnma(r.hi, r.lo, -half_lo));
  c = fast_sum(c.hi, c.lo);
  const Mask odd = (angle.j & Int(1)) != Int(0);
  const Pair over = {select(odd, -c.hi, s.hi), select(odd, -c.lo, s.lo)};
  const Pair under = {select(odd, s.hi, c.hi), select(odd, s.lo, c.lo)};
  return select(x == Real(0.0), x, quotient(over, under));
}

}  // namespace tw

#endif
