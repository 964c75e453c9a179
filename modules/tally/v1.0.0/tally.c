/* Tally 1.0 counts visits. */
#include <stdio.h>
#include <stdlib.h>
#include "berth.h"

static void serve(void) {
  char number[32];
  for (;;) {
    uint64_t revision = 0;
    int64_t n = berth_data_get("count", 5, &revision, number, sizeof number - 1);
    number[n < 0 ? 0 : n] = 0;
    int length = snprintf(number, sizeof number, "%ld", strtol(number, 0, 10) + 1);
    n = berth_data_put("count", 5, number, (uint32_t)length, revision);
    if (n == BERTH_ECONFLICT) continue; /* another instance was faster */
    if (n < 0) strcpy(number, "?");
    break;
  }
  char answer[64];
  snprintf(answer, sizeof answer, "visit %s\n", number);
  berth_respond_text(200, "text/plain", answer);
}
BERTH_HANDLER(serve)
