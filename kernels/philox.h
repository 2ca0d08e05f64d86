/* Philox4x32-10: four random words as a pure function of a key and a counter, lane by lane.
 * Source: Salmon, Moraes, Dror, Shaw (2011), Parallel random numbers: as easy as 1, 2, 3,
 * Proc. SC'11, sec. 4.3. The same words as twinml/engines/philox.py. A word is an Int lane: of 64
 * bits, the upper half zero, in a float64 kernel, of 32 bits in a float32 kernel.
 */
#ifndef TWINML_PHILOX_H
#define TWINML_PHILOX_H

namespace tw {

struct Words {
  Int x0, x1, x2, x3;
};

TW_FN Int word(unsigned value) { return Int(integer(value)); }

#if TW_BITS == 64
typedef unsigned long long wide_word;

/* Upper and lower word of a product of words. */
TW_FN void word_product(const Int& value, unsigned factor, Int& high, Int& low) {
#if defined(__CUDACC__)
  wide_word product = (wide_word)value * factor;
  high = Int(product >> 32);
  low = Int(product & 0xffffffffu);
#else
  Int product;
#if TW_GCC_X86 && TW_VECTOR_BYTES == 32
  typedef int Halves __attribute__((vector_size(32)));
  const Int both = word(factor);
  TW_EACH(product.r[k] = (IntReg)__builtin_ia32_pmuludq256((Halves)value.r[k], (Halves)both.r[k]))
#elif TW_GCC_X86 && TW_VECTOR_BYTES == 16
  typedef int Halves __attribute__((vector_size(16)));
  const Int both = word(factor);
  TW_EACH(product.r[k] = (IntReg)__builtin_ia32_pmuludq128((Halves)value.r[k], (Halves)both.r[k]))
#else
  product = value * word(factor);
#endif
  high = shr(product, 32);
  low = product & word(0xffffffffu);
#endif
}
#else
TW_FN void word_product(const Int& value, unsigned factor, Int& high, Int& low) {
#if defined(__CUDACC__)
  high = Int(__umulhi((unsigned)value, factor));
  low = Int((unsigned)value * factor);
#else
  /* By halves of 16 bits, whose products fit. */
  const Int mask = word(0xffffu), upper = word(factor >> 16), lower = word(factor & 0xffffu);
  Int a = value & mask, b = shr(value, 16);
  Int mixed = a * upper, other = b * lower;
  Int middle = shr(a * lower, 16) + (mixed & mask) + (other & mask);
  high = b * upper + shr(mixed, 16) + shr(other, 16) + shr(middle, 16);
  low = value * word(factor);
#endif
}
#endif

TW_FN Words philox(Words x, unsigned key0, unsigned key1) {
  for (int round = 0; round < 10; ++round) {
    Int high0, low0, high1, low1;
    word_product(x.x0, 0xD2511F53u, high0, low0);
    word_product(x.x2, 0xCD9E8D57u, high1, low1);
    x.x0 = high1 ^ x.x1 ^ word(key0);
    x.x1 = low1;
    x.x2 = high0 ^ x.x3 ^ word(key1);
    x.x3 = low0;
    key0 += 0x9E3779B9u; /* golden ratio and sqrt(3) - 1 */
    key1 += 0xBB67AE85u;
  }
  return x;
}

}  // namespace tw

#endif
