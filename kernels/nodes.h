/* Where guards and quantities look at a step: both ends and four points between. */
#ifndef TWINML_NODES_H
#define TWINML_NODES_H

namespace tw {

#define TW_NODES 6
TW_TABLE real NODE_PLACE[] = {real(0), real(0.2), real(0.4), real(0.6), real(0.8), real(1)};

TW_FN Real splat(const Real& x) { return x; }
#ifndef __CUDACC__
TW_FN Real splat(real x) { return Real(x); }
#endif

/* The entry of a table over the nodes that each lane asks for. */
template <class Entry>
TW_FN Real at_node(const Entry* table, const Real& node) {
  Real found = splat(table[0]);
  for (int k = 1; k < TW_NODES; ++k)
    found = select(node == Real(real(k)), splat(table[k]), found);
  return found;
}

/* Derivatives of inputs by the place in a step of size h. */
#if TW_LINEAR
#define TW_INPUT_MOTION(at, h, name) \
  Real name[TW_SOME(TW_U)];          \
  for (int i_ = 0; i_ < TW_U; ++i_) name[i_] = TW_IS_LINEAR(i_) ? (at).du[i_] * h : Real(real(0));
#else
#define TW_INPUT_MOTION(at, h, name) const Real* name = nullptr;
#endif

}  // namespace tw

#endif
