/* LU factors of W = s I - J where they are too many to be written out: what the emitted functions
 * of twinml/lowering/lu.py do, as loops over its tables. Entry e of J is kept at LU_ENTRY[e], entry
 * (i, j) of the factors at LU_PLACE[i n + j]; step m eliminates LU_PIVOT[m] from its LU_ROWS in its
 * LU_COLUMNS.
 */
#ifndef TWINML_LU_H
#define TWINML_LU_H

namespace tw {

TW_BIG Mask factor(const Real& s, const Real* j, Real* f) {
  Real before[TW_N];
  for (int e = 0; e < TW_LU_SIZE; ++e) f[e] = Real(real(0));
  for (int e = 0; e < TW_NZ; ++e) f[LU_ENTRY[e]] = -j[e];
  for (int i = 0; i < TW_N; ++i) {
    Real& diagonal = f[LU_PLACE[i * TW_N + i]];
    diagonal = before[i] = s + diagonal;
  }
  Mask sound = Mask(true);
  Real growth = Real(real(0));
  for (int m = 0; m < TW_N; ++m) {
    const int k = LU_PIVOT[m], columns = LU_COLUMNS_AT[m], columns_end = LU_COLUMNS_AT[m + 1];
    Real& pivot = f[LU_PLACE[k * TW_N + k]];
    sound = sound & pivot_sound(pivot, before[k]);
    pivot = Real(real(1)) / pivot;
    const Real inverse = pivot;
    Real below = Real(real(0)), right = Real(real(0));
    for (int a = LU_ROWS_AT[m]; a < LU_ROWS_AT[m + 1]; ++a) {
      const int i = LU_ROWS[a];
      Real& multiplier = f[LU_PLACE[i * TW_N + k]];
      const Real l = multiplier * inverse;
      multiplier = l;
      below = max(below, abs(l));
      for (int b = columns; b < columns_end; ++b) {
        const int c = LU_COLUMNS[b];
        Real& entry = f[LU_PLACE[i * TW_N + c]];
        entry = fnma(l, f[LU_PLACE[k * TW_N + c]], entry);
      }
    }
    for (int b = columns; b < columns_end; ++b) {
      Real& entry = f[LU_PLACE[k * TW_N + LU_COLUMNS[b]]];
      entry = entry * inverse;
      right = max(right, abs(entry));
    }
    growth = max(growth, min(below, right));
  }
  return TW_LU_USABLE(sound, growth);
}

TW_BIG void solve(const Real* f, Real* x) {
  for (int m = 0; m < TW_N; ++m) {
    const int k = LU_PIVOT[m];
    const Real found = x[k];
    for (int a = LU_ROWS_AT[m]; a < LU_ROWS_AT[m + 1]; ++a) {
      const int i = LU_ROWS[a];
      x[i] = fnma(f[LU_PLACE[i * TW_N + k]], found, x[i]);
    }
    x[k] = found * f[LU_PLACE[k * TW_N + k]];
  }
  for (int m = TW_N - 1; m >= 0; --m) {
    const int k = LU_PIVOT[m];
    Real sum = x[k];
    for (int b = LU_COLUMNS_AT[m]; b < LU_COLUMNS_AT[m + 1]; ++b)
      sum = fnma(f[LU_PLACE[k * TW_N + LU_COLUMNS[b]]], x[LU_COLUMNS[b]], sum);
    x[k] = sum;
  }
}

}  // namespace tw

#endif
