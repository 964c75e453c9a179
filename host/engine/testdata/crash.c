/* A guest with debug information, whose traps say where they happened. */
static volatile int zero;

__attribute__((noinline)) static int divide(int a) {
  return a / zero; /* line 5 */
}

static inline int inlined(int a) { return divide(a) + 1; /* line 8 */ }

__attribute__((noinline)) static int recurse(int n) {
  volatile char big[64];
  big[n & 63] = 1;
  if (n == 0) __builtin_trap(); /* line 13 */
  return recurse(n - 1) + big[0];
}

__attribute__((export_name("run"))) int run(int what, int arg) {
  for (int i = 0; i < 3; i++) zero = 0;
  if (what == 0) return inlined(arg); /* line 19 */
  return recurse(arg);
}
