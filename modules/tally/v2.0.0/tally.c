/* Tally 2.0 counts the visits of each page, and brings along what 1.0 counted. */
#include <stdio.h>
#include <stdlib.h>
#include "berth.h"

static void serve(void) {
  char key[520] = "count", number[32];
  uint32_t length = berth_get_uri(key + 5, sizeof key - 5);
  if (length > sizeof key - 5) {
    berth_respond_text(414, "text/plain", "this address is too long\n");
    return;
  }
  for (;;) {
    uint64_t revision = 0;
    int64_t n = berth_data_get(key, 5 + length, &revision, number, sizeof number - 1);
    number[n < 0 ? 0 : n] = 0;
    int digits = snprintf(number, sizeof number, "%ld", strtol(number, 0, 10) + 1);
    n = berth_data_put(key, 5 + length, number, (uint32_t)digits, revision);
    if (n == BERTH_ECONFLICT) continue; /* another instance was faster */
    if (n < 0) strcpy(number, "?");
    break;
  }
  char before[32], answer[128];
  int64_t n = berth_data_get("count/", 6, 0, before, sizeof before - 1);
  before[n < 0 ? 0 : n] = 0;
  snprintf(answer, sizeof answer, "visit %s of this page; %s before pages were counted\n", number, *before ? before : "0");
  berth_respond_text(200, "text/plain", answer);
}
BERTH_HANDLER(serve)

static int migrate(uint32_t from, uint32_t to) {
  char number[32];
  int64_t n = berth_data_get("count", 5, 0, number, sizeof number);
  if (n == BERTH_ENOTFOUND) return 0;
  if (n < 0 || n > (int64_t)sizeof number) return 1;
  if (berth_data_put("count/", 6, number, (uint32_t)n, BERTH_ANY_REVISION) < 0) return 2;
  return berth_data_delete("count", 5, BERTH_ANY_REVISION) < 0 ? 3 : 0;
}
BERTH_MIGRATION(migrate)
