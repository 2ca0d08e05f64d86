/* Logarithm and power for step control. */
#ifndef TWINML_STEP_LOG_H
#define TWINML_STEP_LOG_H

namespace tw {

/* Binary logarithm to 8.8e-5 of positive, normal, finite x and 2^x to 7.5e-5 for |x| up to 100. No
 * fma and in this order, which is short because nothing else can be done until the step is chosen:
 * twinml/solve/logarithm.py gives the same bits with torch. */
#define TW_ROUND_SHIFT real(TW_BITS == 64 ? 0x1.8p52 : 0x1.8p23) /* a sum with it is whole */

TW_FN Real step_log2(const Real& x) {
  const Int i = bits(x);
  const Real k = to_real(shr(i, TW_MANTISSA) - Int(TW_BIAS));
  const Real m = from_bits((i & Int(TW_MANTISSA_MASK)) | Int(TW_ONE_BITS));
  const Real square = m * m;
  const Real low = k + (m * Real(real(0x1.047c5ep+2)) + Real(real(-0x1.41a538p+1)));
  const Real middle = (m * Real(real(0x1.4a501ap-1)) + Real(real(-0x1.0f7248p+1))) * square;
  return low + (middle + Real(real(-0x1.4e4c6p-4)) * (square * square));
}

TW_FN Real step_exp2(const Real& x) {
  const Real shifted = x + Real(TW_ROUND_SHIFT);
  const Real f = x - (shifted - Real(TW_ROUND_SHIFT));
  const Real low = f * Real(real(0x1.62f31ap-1)) + Real(real(0x1.fff692p-1));
  const Real high = (f * Real(real(0x1.c3f76p-5)) + Real(real(0x1.f0de1ap-3))) * (f * f);
  /* The last digits of `shifted` are those of the whole number. */
  return from_bits(bits(low + high) + shl(bits(shifted), TW_MANTISSA));
}

}  // namespace tw

#endif
