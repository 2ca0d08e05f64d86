/* After a unit: functions that run its kernels over a grid on the CPU. */
namespace emulation {

static const tw::Args* args_now;
static void one_run() { tw_run(*args_now); }
#if TW_M
static void one_observe() { tw_observe(*args_now); }
#endif

}  // namespace emulation

extern "C" __attribute__((visibility("default"))) void launch_tw_run(const tw::Args* args,
                                                                     unsigned blocks,
                                                                     unsigned threads) {
  emulation::args_now = args;
  emulation::run_grid(emulation::one_run, blocks, threads);
}

#if TW_M
extern "C" __attribute__((visibility("default"))) void launch_tw_observe(const tw::Args* args,
                                                                         unsigned blocks,
                                                                         unsigned threads) {
  emulation::args_now = args;
  emulation::run_grid(emulation::one_observe, blocks, threads);
}
#endif
