/* Where the next step of every lane is to arrive. */
#ifndef TWINML_TARGET_H
#define TWINML_TARGET_H

namespace tw {

struct Target {
  Clock t1;
  Real h;       /* without sign */
  Mask clipped; /* the arrival is a boundary */
};

#if TW_ADAPTIVE
TW_FN Target next_target(const Args&, Pack& pack, const Real& sign) {
  Target target;
  Real rest = sign * span(pack.limit, pack.t);
  target.clipped = pack.h * Real(real(1) + TW_CLIP_SHARE) >= rest;
  target.t1 = pick(target.clipped, pack.limit, advance(pack.t, sign * pack.h));
  target.h = select(target.clipped, rest, pack.h);
  return target;
}
#else
TW_FN Target next_target(const Args& args, Pack& pack, const Real& sign) {
  Target target;
  const Clock dt = clock_of(stamp_scaled(args.clocks[CLOCK_DT], real(args.direction)));
  Clock there = tick(pack.origin, dt, pack.grid + Int(integer(1)));
  /* A grid time that differs from a boundary by rounding only is that boundary. */
  Real slack = Real(TW_TICK_SHARE) * abs(now(dt));
  Real early = sign * span(pack.limit, there);
  target.clipped = early <= slack;
  pack.grid = select(early >= -slack, pack.grid + Int(integer(1)), pack.grid);
  target.t1 = pick(target.clipped, pack.limit, there);
  target.h = sign * span(target.t1, pack.t);
  return target;
}
#endif

}  // namespace tw

#endif
