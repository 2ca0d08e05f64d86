/* Standard normals from random words, in the kernel's own width.
 *
 * In a float64 kernel they have the bits of twinml/engines/normal.py: only + - * / sqrt and changes
 * of exponent, none of them fused. In a float32 kernel they are computed in float32 from the same
 * words, within a few float32 roundings of those: a float32 kernel holds no float64 arithmetic.
 *
 * Inverse of the normal distribution function: algorithm AS 241, PPND16 and PPND7, Wichura (1988),
 * Appl. Stat. 37, 477-484. Coefficients by rising powers.
 */
#ifndef TWINML_NORMAL_H
#define TWINML_NORMAL_H

namespace tw {

#define TW_CENTRE_WIDTH real(0.425)
#define TW_CENTRE_SQUARE real(0.180625)

#if TW_BITS == 64

TW_TABLE real NORMAL_CENTRE_ABOVE[] = {
    3.3871328727963665, 133.14166789178438, 1971.5909503065513, 13731.69376550946,
    45921.95393154987, 67265.7709270087, 33430.57558358813, 2509.0809287301227};
TW_TABLE real NORMAL_CENTRE_BELOW[] = {
    1.0, 42.31333070160091, 687.1870074920579, 5394.196021424751,
    21213.794301586597, 39307.89580009271, 28729.085735721943, 5226.495278852854};
TW_TABLE real NORMAL_TAIL_ABOVE[] = {
    1.4234371107496835, 4.630337846156546, 5.769497221460691, 3.6478483247632045,
    1.2704582524523684, 0.2417807251774506, 0.022723844989269184, 0.0007745450142783414};
TW_TABLE real NORMAL_TAIL_BELOW[] = {
    1.0, 2.053191626637759, 1.6763848301838038, 0.6897673349851,
    0.14810397642748008, 0.015198666563616457, 0.0005475938084995345, 1.0507500716444169e-09};
TW_TABLE real NORMAL_FAR_ABOVE[] = {
    6.657904643501103, 5.463784911164114, 1.7848265399172913, 0.29656057182850487,
    0.026532189526576124, 0.0012426609473880784, 2.7115555687434876e-05, 2.0103343992922881e-07};
TW_TABLE real NORMAL_FAR_BELOW[] = {
    1.0, 0.599832206555888, 0.1369298809227358, 0.014875361290850615,
    0.0007868691311456133, 1.8463183175100548e-05, 1.421511758316446e-07, 2.0442631033899397e-15};
TW_TABLE real NORMAL_LOG[] = {
    0.0, 0.6666666666666735, 0.3999999999940942, 0.2857142874366239,
    0.22222198432149784, 0.1818357216161805, 0.15313837699209373, 0.14798198605116586};

/* Product and sum are rounded each, as they are in torch. */
TW_FN Real normal_horner(const real* coefficients, const Real& x) {
  Real total = Real(coefficients[7]);
  for (int i = 6; i >= 0; --i) total = total * x + Real(coefficients[i]);
  return total;
}

TW_FN Real normal_ratio(const real* above, const real* below, const Real& x) {
  return normal_horner(above, x) / normal_horner(below, x);
}

/* log(1 + f) = f - (f^2/2 - s (f^2/2 + R(s^2))), s = f / (2 + f): fdlibm (Sun Microsystems 1993),
 * e_log.c; x is positive and normal. */
TW_FN Real normal_log(const Real& x) {
  Int exponent = shr(bits(x), 52) - Int(integer(1022));
  Real mantissa = from_bits((bits(x) & Int(integer(0x000fffffffffffffLL))) |
                            Int(integer(0x3fe0000000000000LL)));
  Mask small = mantissa < Real(real(0.7071067811865476));
  Real f = select(small, Real(real(2)) * mantissa, mantissa) - Real(real(1));
  Real k = to_real(select(small, exponent - Int(integer(1)), exponent));
  Real s = f / (Real(real(2)) + f);
  Real half = Real(real(0.5)) * f * f;
  Real rest = normal_horner(NORMAL_LOG, s * s);
  Real low = k * Real(real(1.90821492927058770002e-10));
  return k * Real(real(6.93147180369123816490e-01)) - ((half - (s * (half + rest) + low)) - f);
}

TW_BIG Real normal_tail(const Real& uniform, const Real& q, const Real& centre) {
  Real r = sqrt(-normal_log(min(uniform, Real(real(1)) - uniform)));
  Real near = normal_ratio(NORMAL_TAIL_ABOVE, NORMAL_TAIL_BELOW, r - Real(real(1.6)));
  Real far = normal_ratio(NORMAL_FAR_ABOVE, NORMAL_FAR_BELOW, r - Real(real(5)));
  Real size = select(r <= Real(real(5)), near, far);
  Real tail = select(q < Real(real(0)), -size, size);
  return select(abs(q) > Real(TW_CENTRE_WIDTH), tail, centre);
}

/* The normal of a pair of words: its distribution function is (52 upper bits + 1/2) / 2^52. */
TW_FN Real normal(const Int& high, const Int& low) {
  /* The 52 bits as the fraction of a number between 2^52 and 2^53. */
  Int fraction = shl(high, 20) | shr(low, 12) | Int(integer(0x4330000000000000LL));
  Real uniform = from_bits(fraction) - Real(real(4503599627370496.0));
  uniform = (uniform + Real(real(0.5))) * Real(real(2.220446049250313e-16));
  Real q = uniform - Real(real(0.5));
  Real r = Real(TW_CENTRE_SQUARE) - q * q;
  Real centre = q * normal_ratio(NORMAL_CENTRE_ABOVE, NORMAL_CENTRE_BELOW, r);
  if (none(abs(q) > Real(TW_CENTRE_WIDTH))) return centre;
  return normal_tail(uniform, q, centre);
}

#else

TW_TABLE real NORMAL_CENTRE_ABOVE[] = {3.3871327179f, 50.434271938f, 159.29113202f, 59.109374720f};
TW_TABLE real NORMAL_CENTRE_BELOW[] = {1.0f, 17.895169469f, 78.757757664f, 67.187563600f};
TW_TABLE real NORMAL_TAIL_ABOVE[] = {1.4234372777f, 2.7568153900f, 1.3067284816f, 0.17023821103f};
TW_TABLE real NORMAL_TAIL_BELOW[] = {1.0f, 0.73700164250f, 0.12021132975f, 0.0f};
TW_TABLE real NORMAL_FAR_ABOVE[] = {6.6579051150f, 3.0812263860f, 0.42868294337f, 0.017337203997f};
TW_TABLE real NORMAL_FAR_BELOW[] = {1.0f, 0.24197894225f, 0.012258202635f, 0.0f};

TW_FN Real normal_horner(const real* coefficients, const Real& x) {
  Real total = Real(coefficients[3]);
  for (int i = 2; i >= 0; --i) total = fma(total, x, Real(coefficients[i]));
  return total;
}

TW_FN Real normal_ratio(const real* above, const real* below, const Real& x) {
  return normal_horner(above, x) / normal_horner(below, x);
}

TW_BIG Real normal_tail(const Real& share, const Real& centre) {
  Real r = sqrt(-log(share));
  Real near = normal_ratio(NORMAL_TAIL_ABOVE, NORMAL_TAIL_BELOW, r - Real(real(1.6)));
  Real far = normal_ratio(NORMAL_FAR_ABOVE, NORMAL_FAR_BELOW, r - Real(real(5)));
  Real size = select(r <= Real(real(5)), near, far);
  return select(share < Real(real(0.5) - TW_CENTRE_WIDTH), size, centre);
}

/* The normal of a pair of words. The top bit is its side; the others, and the low word, are the
 * share of the distribution beyond it, to as many digits as a float holds however small it is. */
TW_FN Real normal(const Int& high, const Int& low) {
  const Int rest = word(0x7fffffffu);
  Mask right = high < Int(integer(0));
  Int share_bits = select(right, (high ^ rest) & rest, high);
  Int low_bits = select(right, low ^ word(0xffffffffu), low);
  /* Bits of the low word that a float can show. */
  Real below = (to_real(shr(low_bits, 8)) + Real(real(0.5))) * Real(real(1.0 / 72057594037927936.0));
  Real share = fma(to_real(share_bits), Real(real(1.0 / 4294967296.0)), below);
  Real q = to_real(rest - share_bits) * Real(real(1.0 / 4294967296.0));
  Real r = Real(TW_CENTRE_SQUARE) - q * q;
  Real size = q * normal_ratio(NORMAL_CENTRE_ABOVE, NORMAL_CENTRE_BELOW, r);
  if (any(share < Real(real(0.5) - TW_CENTRE_WIDTH))) size = normal_tail(share, size);
  return select(right, size, -size);
}

#endif

}  // namespace tw

#endif
