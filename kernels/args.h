/* What a launch is told: problem, row state and where results go. One struct for every engine,
 * built by twinml/engines/native/arguments.py; every member is 8 bytes wide, so that its layout is
 * the same to every compiler. Arrays are shared by all threads of a launch; each row's entries are
 * touched by the one lane that holds the row.
 *
 * Row state (t, h, y, steps, ...) is what LaneState is in Python: a lane loads it when it takes a
 * row and writes it back when the row leaves, so a launch may go on where another stopped.
 */
#ifndef TWINML_ARGS_H
#define TWINML_ARGS_H

namespace tw {

typedef long long count;

/* A time in memory: float64, or in a float32 kernel the sum of two float32. */
#if TW_BITS == 64
typedef double stamp;
#else
struct stamp {
  float high, low;
};
#endif

/* A value per row; stride 0 where all rows share one. */
struct Column {
  const real* data;
  count stride;
};

struct StampColumn {
  const stamp* data;
  count stride;
};

/* An input over time: knots shared by all rows, values shared (row_stride 0) or per row. All knots of
 * a row come later by its delay; no data where there is none. */
struct SignalTable {
  const stamp* times;
  const real* values;
  count knots, row_stride;
  StampColumn delay;
};

/* A timed change; what it does to what is fixed at compile time. */
struct ChangeTable {
  StampColumn at, until;
  Column value;
};

/* Derivatives of a timed change along one direction; no data where it stands still. */
struct ChangeSeed {
  Column at, until, value;
};

struct Args {
  count bytes;   /* sizeof(Args) as the host sees it */
  count entries; /* rows of this launch */
  count rows;    /* rows of the problem: stride of the arrays (.., rows) below */
  const count* order; /* row of each entry; null: entry i is row i */
  count* next;        /* the queue: first entry nobody has taken */
  count* lane_steps;  /* [2]: steps of lanes with a row, steps of all lanes */
  const count* cancel; /* nonzero: stop soon, rows may be left unfinished */

  /* problem */
  StampColumn first, last;
  const stamp* save_times; /* (save_count) or (rows, save_count) */
  count save_count, save_stride;
  count direction; /* +1 or -1 */
  const Column* parameters;
  const Column* inputs; /* constant inputs; unused entries for signals */
  const SignalTable* signals;
  const ChangeTable* changes;
  const Column* constants;
  const real* const* weights;
  const real* settings; /* see SETTING_*: rtol, then atol of every state */
  const stamp* clocks;  /* see CLOCK_*: dt, max_step */
  count max_steps, max_events;
  double step_width; /* dt, what a row of fixed steps proposes */

  /* state of rows, in and out */
  stamp* t;
  real* h;
  real* y; /* (n, rows) */
  count* steps;
  count* rejected;
  count* status;
  stamp* fail_time;
  count* grid; /* fixed steps: ticks behind the row */
  const stamp* origin;

  /* results */
  real* states; /* (n, rows, save_count) */

  /* outputs: (outputs, rows, sample_count), from samples (n, rows, sample_count) */
  const real* samples;
  const stamp* sample_times;
  count sample_count, sample_stride;
  real* observed;

  /* events: (E, rows), times (E, max_events, rows) */
  count continued; /* sides are those of an earlier solution */
  count* side;     /* -1, 0, 1; 2 for a guard not read yet */
  real* near_zero;
  count* happened;
  stamp* event_times;

  /* quantities: numbers and times kept, each (.., rows), and the times of `at` */
  real* totals;
  stamp* moments;
  const StampColumn* quantity_times;

  /* accepted steps, in (n, record_total) and (record_total): row r writes from record_place[r] on */
  count* record_place;
  count record_total;
  stamp* record_t;
  stamp* record_t1;
  real* record_h;
  count* record_clipped;
  real* record_y;

  /* noise */
  count seed;
  const count* ids;

  /* derivatives along TW_DIRECTIONS directions: of states (D, n, rows) and times (D, rows) of rows, in
   * and out, and of what moves them, (D, ..); of saved states (D, n, rows, save_count) */
  real* moving_y;
  real* moving_t;
  real* moving_states;
  const Column* moving_parameters;
  const Column* moving_inputs;  /* constant ones */
  const Column* moving_signals; /* their values by knot, with the stride of rows */
  const ChangeSeed* moving_changes;
  count* moving_grazes; /* (E): events that only touch zero, without a derivative of their time */
  /* derivatives backward along the steps: tape.h, reverse.h */
  const struct Tape* tape;
  const struct Reverse* reverse;
  /* rows handed over on the device: the list a launch writes and its length, and where the number
   * of its own entries stands; null where the host does both */
  count* handed;
  count* handed_count;
  const count* entries_at;
};

enum { CLOCK_DT = 0, CLOCK_MAX_STEP = 1 };
enum { SETTING_RTOL = 0, SETTING_ATOL = 1 };

}  // namespace tw

#endif
