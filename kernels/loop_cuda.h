/* The loop of a thread: one row at a time, the next one from the queue. See warp.h. */
#ifndef TWINML_LOOP_CUDA_H
#define TWINML_LOOP_CUDA_H

namespace tw {

/* Put the row that comes next into the stage; false when the queue is empty. */
TW_BIG bool take_next(const Args& args, Stage& stage) {
  Book& book = stage.pack.book;
  if (!prepare(args, stage)) return false;
  book.deadline = book.began[0] + args.max_steps;
  if (book.deadline > book.tick + TW_GLANCE) book.deadline = book.tick + TW_GLANCE;
  return true;
}

/* Let the staged row leave if it has ended and take the next one; what it stepped is added up. */
TW_BIG bool change_rows(const Args& args, Stage& stage, const Fixed& fixed, count& useful) {
  Book& book = stage.pack.book;
  if (*args.cancel) return false;
  if (!leave(args, stage.pack, fixed)) return true;
  useful += book.tick - book.filled;
  book.filled = book.tick;
  return take_next(args, stage);
}

TW_FN void work(const Args& args) {
  Stage stage;
  Fixed fixed;
  fixed.sign = Real(real(args.direction));
  fixed.max_step = Real(now(clock_of(args.clocks[CLOCK_MAX_STEP])));
  clear(stage.pack);
  stage.pack.at.w = args.weights;
  bool busy = take_next(args, stage);
  Pack pack = stage.pack;
  count useful = 0;
  while (__any_sync(TW_WHOLE_WARP, busy)) {
    if (!busy) continue;
    pack.live = Mask(true); /* known here, and so no register */
    if (step_pack(args, fixed, pack) & (++pack.book.tick < pack.book.deadline)) continue;
    stage.pack = pack;
    busy = change_rows(args, stage, fixed, useful);
    pack = stage.pack;
  }
  add_up(&args.lane_steps[0], useful);
  /* The lane that had rows longest kept the others waiting. */
  add_up(&args.lane_steps[1], most_of_warp(useful));
}

}  // namespace tw

#endif
