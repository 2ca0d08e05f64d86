/* The fixed steps that all rows of a plain run take. */
#ifndef TWINML_PLAIN_STEP_H
#define TWINML_PLAIN_STEP_H

namespace tw {

struct Step {
  stamp t, t1;
  real h; /* signed */
};

/* Where step number i begins and ends; `last` is the number of the step that arrives. All others
 * have the size asked for: the difference of two ticks is that but for the rounding of time. */
TW_FN Step step_at(stamp origin, stamp dt, stamp end, count i, count last) {
  Step step;
  step.t = stamp_tick(origin, dt, i);
  step.t1 = i >= last ? end : stamp_tick(origin, dt, i + 1);
  step.h = i >= last ? stamp_span(step.t1, step.t) : now_of(dt);
  return step;
}

}  // namespace tw

#endif
