/* Diffusion and advection on a grid of equal cells, by the fluxes through their faces: both cells of
 * a face see the same number, so what leaves one enters the other. Everything is per time: with cells
 * of width w, d = D / w^2, a = v / w, and a flux F counts as F / w.
 *
 *   scheme   0 no advection, 1 central, 2 upwind
 *   low, high  kind of the boundary where the axis begins, ends; its number is
 *     FD_VALUE  the value at the face       FD_SLOPE  outward slope times w
 *     FD_FLUX   flux into the domain / w    FD_WRAP   none: the grid closes on itself
 */
#ifndef TWINML_TRANSPORT_H
#define TWINML_TRANSPORT_H

#define FD_WRAP 0
#define FD_VALUE 1
#define FD_SLOPE 2
#define FD_FLUX 3

namespace tw {

template <class N>
TW_FN N half(N x) { return x * N(real(0.5)); }

/* Value that advection carries through a face. */
template <int SCHEME, class N>
TW_FN N carried(N a, N before, N after) {
  if constexpr (SCHEME == 2) return select(a > N(real(0)), before, after);
  return half(before + after);
}

/* Flux through a face between two cells, along the axis. */
template <int SCHEME, class N>
TW_FN N inner_flux(N a, N d, N before, N after) {
  const N spread = d * (before - after);
  if constexpr (SCHEME == 0) return spread;
  return fma(a, carried<SCHEME>(a, before, after), spread);
}

/* Flux out of the domain through a face with this cell inside; `a` counts outward. */
template <int KIND, int SCHEME, class N>
TW_FN N outer_flux(N a, N d, N here, N number) {
  if constexpr (KIND == FD_FLUX) return -number;
  if constexpr (KIND == FD_SLOPE) {
    if constexpr (SCHEME == 0) return -(d * number);
    return fma(a, here + half(number), -(d * number));
  }
  const N spread = d * (here - number);
  if constexpr (SCHEME == 0) return spread + spread;
  if constexpr (SCHEME == 2)
    return fma(a, select(a > N(real(0)), here, number), spread + spread);
  return fma(a, number, spread + spread);
}

/* What stays in a cell, a unit of time: inflow less outflow along one axis. */
template <int LOW, int HIGH, int SCHEME, bool INSIDE, class N>
TW_FN N gathered(Mask first, Mask last, N before, N here, N after, N a, N d, N low, N high) {
  N in = inner_flux<SCHEME>(a, d, before, here), out = inner_flux<SCHEME>(a, d, here, after);
  if constexpr (!INSIDE && LOW != FD_WRAP)
    in = select(first, -outer_flux<LOW, SCHEME>(-a, d, here, low), in);
  if constexpr (!INSIDE && HIGH != FD_WRAP)
    out = select(last, outer_flux<HIGH, SCHEME>(a, d, here, high), out);
  return in - out;
}

/* Gradients along one axis. */
struct Gathered {
  Real here, a, d, low, high;
};

/* Derivative of outer_flux by the cell inside, by a (outward), d and the number. */
template <int KIND, int SCHEME>
TW_FN void outer_slopes(Real a, Real d, Real here, Real number, Real& by_here, Real& by_a,
                        Real& by_d, Real& by_number) {
  const Real zero(real(0)), one(real(1)), two(real(2));
  by_here = by_a = by_d = zero;
  by_number = -one;
  if constexpr (KIND == FD_SLOPE) {
    by_d = -number;
    by_number = -d;
    if constexpr (SCHEME != 0) {
      by_here = a;
      by_a = here + half(number);
      by_number = half(a) - d;
    }
  }
  if constexpr (KIND == FD_VALUE) {
    by_here = two * d;
    by_d = two * (here - number);
    by_number = -by_here;
    if constexpr (SCHEME == 1) {
      by_a = number;
      by_number = by_number + a;
    }
    if constexpr (SCHEME == 2) {
      const Mask leaves = a > zero;
      by_here = by_here + select(leaves, a, zero);
      by_a = select(leaves, here, number);
      by_number = by_number + select(leaves, zero, a);
    }
  }
}

/* The transpose of `gathered`: b is the cotangent. A cell counts the face before it, and the last
 * one the face behind it too, so that every face is counted once. */
template <int LOW, int HIGH, int SCHEME, bool INSIDE>
TW_FN Gathered scattered(Mask first, Mask last, Real before, Real here, Real after, Real b_before,
                         Real b_here, Real b_after, Real a, Real d, Real low, Real high) {
  const Real zero(real(0));
  const Real weight_in = b_here - b_before, weight_out = b_after - b_here;
  Gathered g;
  g.low = g.high = zero;
  /* by the cells of a face: before and after it */
  Real by_before = d, by_after = -d;
  g.a = zero;
  if constexpr (SCHEME == 1) {
    const Real a2 = half(a);
    by_before = by_before + a2;
    by_after = by_after + a2;
    g.a = weight_in * half(before + here);
  }
  if constexpr (SCHEME == 2) {
    const Mask along = a > zero;
    by_before = by_before + select(along, a, zero);
    by_after = by_after + select(along, zero, a);
    g.a = weight_in * select(along, before, here);
  }
  g.d = weight_in * (before - here);
  Real from_in = weight_in * by_after, from_out = weight_out * by_before;
  if constexpr (!INSIDE && LOW != FD_WRAP) {
    Real by_here, by_a, by_d, by_number;
    outer_slopes<LOW, SCHEME>(-a, d, here, low, by_here, by_a, by_d, by_number);
    from_in = select(first, -b_here * by_here, from_in);
    g.a = select(first, b_here * by_a, g.a);
    g.d = select(first, -b_here * by_d, g.d);
    g.low = select(first, -b_here * by_number, zero);
  }
  if constexpr (!INSIDE && HIGH != FD_WRAP) {
    Real by_here, by_a, by_d, by_number;
    outer_slopes<HIGH, SCHEME>(a, d, here, high, by_here, by_a, by_d, by_number);
    from_out = select(last, -b_here * by_here, from_out);
    g.a = g.a + select(last, -b_here * by_a, zero);
    g.d = g.d + select(last, -b_here * by_d, zero);
    g.high = select(last, -b_here * by_number, zero);
  }
  g.here = from_in + from_out;
  return g;
}

}  // namespace tw

#endif
