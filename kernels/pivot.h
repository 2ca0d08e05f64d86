/* The test of a pivot of W = s I - J, for emitted factorisations and for lu.h. */
#ifndef TWINML_PIVOT_H
#define TWINML_PIVOT_H

namespace tw {

/* Below this part of the diagonal a pivot is what rounding left of it. */
#define TW_LOST_PIVOT real(TW_BITS == 64 ? 8.9e-16 : 4.8e-7)
#define TW_LARGE_PIVOT real(TW_BITS == 64 ? 1e300 : 1e37)

/* Not zero, finite, and more than rounding of the diagonal entry it came from; nan is not sound. */
TW_FN Mask pivot_sound(const Real& pivot, const Real& diagonal) {
  Real size = abs(pivot);
  return (size > Real(TW_LOST_PIVOT) * abs(diagonal)) & (size < Real(TW_LARGE_PIVOT));
}

}  // namespace tw

/* Growth rejects a step, which a smaller one may pass; fixed steps have no other to try. */
#if TW_ADAPTIVE
#define TW_LU_USABLE(sound, growth) ((sound) & ((growth) <= Real(TW_GROWTH_LIMIT)))
#else
#define TW_LU_USABLE(sound, growth) (sound)
#endif

#endif
