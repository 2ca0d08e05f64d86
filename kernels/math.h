/* Elementary functions of a Real, within 2 units in the last place over the whole range, with the
 * edges of C and torch. Ours, so that a result has the same bits on every target and compiler. */
#ifndef TW_MATH_H
#define TW_MATH_H

#include "math_base.h"
#include "math_divide.h"
#include "math_erf.h"
#include "math_exp.h"
#include "math_inverse.h"
#include "math_log.h"
#include "math_power.h"
#include "math_trig.h"

#endif
