/* Status bits of a row, one word per trajectory; valid C++ and CUDA.
 * The same numbers as twinml.solve.status.Status, which names them for people; a test compares both.
 */
#ifndef TWINML_STATUS_H
#define TWINML_STATUS_H

#define TWINML_OK 0
#define TWINML_MAX_STEPS 1      /* the budget of attempted steps ran out */
#define TWINML_STEP_TOO_SMALL 2 /* the error estimate never met the tolerance */
#define TWINML_NOT_FINITE 4     /* rhs gave nan or inf at every step size tried */
#define TWINML_SOLVER_FAILED 8  /* the linear algebra of a stiff step broke down */
#define TWINML_EVENT_STOP 16    /* a terminal event ended the row: a regular end */
#define TWINML_EVENT_LIMIT 32   /* more events than the buffer holds */

/* A row has failed when any of these is set; EVENT_STOP is not among them. */
#define TWINML_FAILURE                                                                   \
  (TWINML_MAX_STEPS | TWINML_STEP_TOO_SMALL | TWINML_NOT_FINITE | TWINML_SOLVER_FAILED | \
   TWINML_EVENT_LIMIT)

#endif
