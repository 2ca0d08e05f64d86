/* The entry of a unit that evaluates a user's header for rows of numbers, without any stepping: for
 * the eager engine, and to compare a header with its twin. Included last, after the header.
 *
 * The unit defines TW_BITS, TW_N, TW_P, TW_U and TW_JVP (there is a model_rhs_jvp).
 */
#ifndef TWINML_CALL_H
#define TWINML_CALL_H

namespace tw {

typedef long long count;

/* As twinml/engines/native/header_call.py lays it out. Arrays are (n, rows) and (rows). */
struct CallArgs {
  count bytes; /* sizeof(CallArgs) as the host sees it */
  count rows;
  const real *t, *y, *p, *u;
  const real *dt, *dy, *dp, *du; /* the direction; null for the value */
  real* out; /* in: what a result has that is not set */
};

/* Rows from `first` on; lanes beyond the last row repeat it. */
TW_FN void load_rows(const real* from, count rows, count first, int size, Real* to) {
  for (int i = 0; i < size; ++i) {
    const real* base = from + i * rows;
    if (first + TW_LANES <= rows) {
      to[i] = load(base + first);
    } else {
      for (int lane = 0; lane < TW_LANES; ++lane)
        set(to[i], lane, base[first + lane < rows ? first + lane : rows - 1]);
    }
  }
}

TW_BIG void call_rows(const CallArgs& args, count first) {
  const count rows = args.rows;
  Real t[1], y[TW_N], p[TW_P + 1], u[TW_U + 1], out[TW_N];
  load_rows(args.t, rows, first, 1, t);
  load_rows(args.y, rows, first, TW_N, y);
  load_rows(args.p, rows, first, TW_P, p);
  load_rows(args.u, rows, first, TW_U, u);
  load_rows(args.out, rows, first, TW_N, out);
  if (!args.dy) {
    model_rhs(t[0], y, p, u, out);
  } else {
#if TW_JVP
    Real dt[1], dy[TW_N], dp[TW_P + 1], du[TW_U + 1];
    load_rows(args.dt, rows, first, 1, dt);
    load_rows(args.dy, rows, first, TW_N, dy);
    load_rows(args.dp, rows, first, TW_P, dp);
    load_rows(args.du, rows, first, TW_U, du);
    model_rhs_jvp(t[0], y, p, u, dt[0], dy, dp, du, out);
#endif
  }
  for (int i = 0; i < TW_N; ++i)
    for (int lane = 0; lane < TW_LANES && first + lane < rows; ++lane)
      args.out[i * rows + first + lane] = get(out[i], lane);
}

}  // namespace tw

extern "C" __attribute__((visibility("default"))) int tw_call(const tw::CallArgs* args) {
  if (args->bytes != (tw::count)sizeof(tw::CallArgs)) return 1;
  tw::FloatMode mode;
  for (tw::count first = 0; first < args->rows; first += TW_LANES) tw::call_rows(*args, first);
  return 0;
}

#endif
