/* Kernels over the cells of a grid: a function of a cell and its neighbours, for every cell of every
 * row, and its derivatives. A unit is: its #defines, this file, the emitted names and the user's
 * functions, and field_run.h.
 *
 *   FD_DIMENSIONS                     1 or 2; cells lie line by line, x fastest
 *   FD_FIELDS FD_COEFFICIENTS         how many arguments: a number a cell; a number a row
 *   FD_RESULTS                        how many results, a number a cell
 *   FD_ARGS_BYTES                     size of FieldArgs as the host has it
 *   FD_REACH                          how far a cell sees its neighbours, in cells
 *   FD_WRAP_X FD_WRAP_Y               whether the grid closes on itself; else the edge is repeated
 *
 * On a CPU the lanes of a pack are neighbouring cells of one row (memory runs along cells), or
 * neighbouring rows at one cell (memory runs along rows); on CUDA a thread is one cell of one row.
 * Sites that lie inside, where no neighbour is beyond the edge, are a type of their own, so that a
 * function can leave out what edges need.
 */
#ifndef TWINML_FIELD_H
#define TWINML_FIELD_H

#include "lane.h"
#include "math.h"

#ifdef __CUDACC__
#define TW_MEMBER __device__ __forceinline__
#else
#define TW_MEMBER inline __attribute__((always_inline))
#endif

#include "dual.h"

namespace tw {

typedef long long count;
typedef const real* const* Weights; /* of emitted functions, which read none here */

/* An argument: number (row, cell) stands at values[row * by_row + cell * by_cell]; tangents the same
 * or null, which means that it stands still. */
struct Source {
  const real* values;
  const real* tangents;
  count by_row, by_cell;
};
struct Target {
  real* values;
  count by_row, by_cell;
};

/* twinml/fields/memory.py has the same; an array is never empty. */
struct FieldArgs {
  count bytes;
  count rows, nx, ny;
  count tile;       /* cells a sum runs over before it is written */
  count along_rows; /* whether memory runs along rows */
  Source fields[FD_FIELDS + 1];
  Source coefficients[FD_COEFFICIENTS + 1];
  Source cotangents[FD_RESULTS + 1];
  Target results[FD_RESULTS + 1]; /* also their tangents */
  Target gradients[FD_FIELDS + 1];
  real* sums; /* (tiles, coefficients, rows) */
  count* next;
};
static_assert(sizeof(FieldArgs) == FD_ARGS_BYTES, "twinml/fields/memory.py has another layout");

/* A coordinate beyond the edge: the one it stands for. */
template <int WRAP>
TW_FN count brought_in(count x, count n) {
  if (WRAP) {
    x %= n;
    return x < 0 ? x + n : x;
  }
  return x < 0 ? 0 : x >= n ? n - 1 : x;
}

/* Packs at an edge, lane by lane; called, since they are few and would make the code long. */
TW_BIG Real read_line(const real* line, count x, count n, int lanes) {
  Real out(real(0));
  for (int lane = 0; lane < lanes; ++lane) set(out, lane, line[brought_in<FD_WRAP_X>(x + lane, n)]);
  return out;
}
TW_BIG Real read_some(const real* base, int lanes) {
  Real out(real(0));
  for (int lane = 0; lane < lanes; ++lane) set(out, lane, base[lane]);
  return out;
}
TW_BIG void write_some(real* base, Real value, int lanes) {
  for (int lane = 0; lane < lanes; ++lane) base[lane] = get(value, lane);
}

/* Where a pack lies. ROWS: lanes are rows. XIN, YIN: no neighbour in x, in y is beyond the edge. FULL:
 * every lane counts. */
template <bool ROWS, bool XIN, bool YIN, bool FULL>
struct Site {
  static constexpr bool inside = XIN && YIN;
  const FieldArgs& args;
  count row, x, y;
  int lanes;

  TW_MEMBER Real read(const real* base, count by_row, count by_cell, int dx, int dy) const {
    if (dx > FD_REACH || dx < -FD_REACH || dy > FD_REACH || dy < -FD_REACH) return not_a_number();
    const count line = YIN ? y + dy : brought_in<FD_WRAP_Y>(y + dy, args.ny);
    if constexpr (ROWS || TW_LANES == 1) {
      const count column = XIN ? x + dx : brought_in<FD_WRAP_X>(x + dx, args.nx);
      const real* here = base + (line * args.nx + column) * by_cell;
      if (TW_LANES > 1 && by_row == 0) return Real(*here);
      return some(here + row * by_row);
    } else if constexpr (FULL) {
      return load(base + row * by_row + line * args.nx + x + dx);
    } else {
      return read_line(base + row * by_row + line * args.nx, x + dx, args.nx, lanes);
    }
  }
  /* One number a row. */
  TW_MEMBER Real read_row(const real* base, count by_row) const {
    if (TW_LANES == 1 || !ROWS || by_row == 0) return Real(base[row * by_row]);
    return some(base + row);
  }
  TW_MEMBER Real some(const real* base) const {
    if constexpr (FULL) {
      return load(base);
    } else {
      return read_some(base, lanes);
    }
  }
  TW_MEMBER void write(const Target& target, Real value) const {
    if (target.values == nullptr) return;
    real* here = target.values + row * target.by_row + (y * args.nx + x) * target.by_cell;
    if constexpr (FULL) {
      store(here, value);
    } else {
      write_some(here, value, lanes);
    }
  }

  /* A number that enters a sum: nothing from lanes that do not count. */
  TW_MEMBER Real counted(Real value) const {
    if constexpr (!FULL)
      for (int lane = lanes; lane < TW_LANES; ++lane) set(value, lane, 0);
    return value;
  }

  /* Whether a cell is the first or the last along an axis. */
  TW_MEMBER Mask column_is(count wanted) const {
    if constexpr (XIN) {
      return Mask(false);
    } else if constexpr (ROWS || TW_LANES == 1) {
      return Mask(x == wanted);
    } else {
      Mask found(false);
      for (int lane = 0; lane < lanes; ++lane) set(found, lane, x + lane == wanted);
      return found;
    }
  }
  TW_MEMBER Mask first() const { return column_is(0); }
  TW_MEMBER Mask last() const { return column_is(args.nx - 1); }
  TW_MEMBER Mask first_y() const { return Mask(!YIN && y == 0); }
  TW_MEMBER Mask last_y() const { return Mask(!YIN && y == args.ny - 1); }
  /* Number of the cell along each axis, from 0. */
  TW_MEMBER Real number_x() const {
    Real out{real(x)};
    if constexpr (!ROWS && TW_LANES > 1)
      for (int lane = 1; lane < TW_LANES; ++lane) set(out, lane, real(x + lane));
    return out;
  }
  TW_MEMBER Real number_y() const { return Real(real(y)); }

  TW_MEMBER void fetch(const Source& s, int dx, int dy, Real& out) const {
    out = read(s.values, s.by_row, s.by_cell, dx, dy);
  }
  TW_MEMBER void fetch(const Source& s, int dx, int dy, Dual& out) const {
    out.v = read(s.values, s.by_row, s.by_cell, dx, dy);
    out.d = s.tangents ? read(s.tangents, s.by_row, s.by_cell, dx, dy) : Real(real(0));
  }
  TW_MEMBER void fetch_row(const Source& s, Real& out) const {
    out = read_row(s.values, s.by_row);
  }
  TW_MEMBER void fetch_row(const Source& s, Dual& out) const {
    out.v = read_row(s.values, s.by_row);
    out.d = s.tangents ? read_row(s.tangents, s.by_row) : Real(real(0));
  }
};

/* Arguments by number, as the emitted names read them. */
template <class Num, class Place>
struct Cell {
  typedef Num Number;
  static constexpr bool inside = Place::inside;
  const Place& place;

  TW_MEMBER Num field(int number, int dx, int dy) const {
    Num out;
    place.fetch(place.args.fields[number], dx, dy, out);
    return out;
  }
  TW_MEMBER Num coefficient(int number) const {
    Num out;
    place.fetch_row(place.args.coefficients[number], out);
    return out;
  }
  TW_MEMBER Num cotangent(int number, int dx, int dy) const {
    Num out;
    place.fetch(place.args.cotangents[number], dx, dy, out);
    return out;
  }
  TW_MEMBER Mask first() const { return place.first(); }
  TW_MEMBER Mask last() const { return place.last(); }
  TW_MEMBER Mask first_y() const { return place.first_y(); }
  TW_MEMBER Mask last_y() const { return place.last_y(); }
  TW_MEMBER Num column() const { return Num(place.number_x()); }
  TW_MEMBER Num line() const { return Num(place.number_y()); }
};

}  // namespace tw

#endif
