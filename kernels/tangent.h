/* Derivatives of a step: of the numerical map, with the sizes of its steps frozen. The method gives
 * move_step: tangent_erk.h, tangent_rosenbrock.h or tangent_maruyama.h. The rules are those of
 * twinml/engines/replay.py.
 *
 * Where times of changes move, a step that arrives at one changes its length, and later ones are
 * shifted as they are until a boundary that stands still; save points stand still.
 */
#ifndef TWINML_TANGENT_H
#define TWINML_TANGENT_H

namespace tw {

#if TW_DENSE
#define TW_IS_DENSE dense
#else
#define TW_IS_DENSE false
#endif

/* One direction's coefficients of theta^j. */
struct MovingPath {
  Real c[TW_DENSE ? TW_TERMS : 1][TW_N];
};

/* Derivatives of a step's end and path. */
struct Motion {
  Real y1[TW_MANY_STATES];
#if TW_FSAL
  Real k1[TW_MANY_STATES]; /* of the slope there */
#endif
#if TW_MOVING_TIME
  Real t[TW_DIRECTIONS], t1[TW_DIRECTIONS], h[TW_DIRECTIONS];
#endif
#if TW_DENSE
  MovingPath path[TW_DIRECTIONS]; /* of the whole step */
#endif
#if TW_EVENTS
  Real share; /* of the step up to its event */
#endif
};

#if TW_DENSE
/* Derivatives of the states at fixed times: `theta` of the step, or its end. */
TW_FN void tangents_at(const Path& path, const Motion& motion, const Mask& at_end, const Real& theta,
                       Real* dy) {
#if TW_MOVING_TIME
  Real unused[TW_N], rate[TW_N];
  motion_at(path, theta, unused, rate);
#else
  (void)path;
#endif
#if TW_EVENTS
  const Real place = theta * motion.share;
#else
  const Real place = theta;
#endif
  TW_EACH_DIRECTION(d) {
    const MovingPath& moving = motion.path[d];
#if TW_MOVING_TIME
    const Real shift = -fma(place, motion.h[d], motion.t[d]) / path.h;
#endif
    TW_EACH_STATE(s) {
      Real value = moving.c[TW_TERMS - 1][s];
      for (int j = TW_TERMS - 2; j >= 0; --j) value = fma(value, place, moving.c[j][s]);
#if TW_MOVING_TIME
      value = fma(rate[s], shift, value);
#endif
      dy[d * TW_N + s] = select(at_end, motion.y1[d * TW_N + s], value);
    }
  }
}
#endif

#if TW_MOVING_TIME
/* How the ends of a step move, and with them its size. */
TW_FN void move_ends(const Pack& pack, const Mask& clipped, Motion& motion) {
  TW_EACH_DIRECTION(d) {
    motion.t[d] = pack.dt[d];
#if TW_ADAPTIVE
    motion.t1[d] = select(clipped, pack.dlimit[d], pack.dt[d]);
    motion.h[d] = select(clipped, pack.dlimit[d] - pack.dt[d], Real(real(0)));
#else
    /* A grid of fixed steps stands still when a boundary between its points moves. */
    motion.t1[d] = masked(clipped, pack.dlimit[d]);
    motion.h[d] = motion.t1[d] - pack.dt[d];
#endif
  }
}
#endif

/* The rows `accepted` go on from the end of the step. */
TW_FN void take_tangents(Pack& pack, const Motion& motion, const Mask& accepted) {
  for (int i = 0; i < TW_MANY_STATES; ++i) {
    pack.dy[i] = select(accepted, motion.y1[i], pack.dy[i]);
#if TW_FSAL
    pack.dk1[i] = select(accepted, motion.k1[i], pack.dk1[i]);
#endif
  }
#if TW_MOVING_TIME
  TW_EACH_DIRECTION(d) pack.dt[d] = select(accepted, motion.t1[d], pack.dt[d]);
#endif
}

}  // namespace tw

#endif
