/* Marker says which version it is in every way that a handler has: by its
 * code, by a file of its package, by its configuration and by what its
 * dependency "part" says. Tests write a number over the one in the code. */
#include "../../../../sdk/c/berth.h"

static const volatile char code[] = "CODE-0000";

static char answer[4096];
static size_t end;

static void add(const char *text) {
  while (*text && end < sizeof answer - 1) answer[end++] = *text++;
}

static void serve(void) {
  end = 0;
  add("code=");
  for (size_t i = 5; i < sizeof code - 1; i++) answer[end++] = code[i];
  add(" file=");
  int64_t n = berth_file_read("marker.txt", 10, 0, answer + end, 64);
  if (n > 0) end += (size_t)n;
  add(" config=");
  uint32_t config = berth_config(answer + end, 1024);
  if (config <= 1024) end += config;
  char part[512];
  n = berth_get("part", "/", part, sizeof part - 1);
  part[n < 0 ? 0 : n] = 0;
  add(" part=[");
  add(part);
  add("]");
  answer[end] = 0;
  berth_respond_text(200, "text/plain", answer);
}
BERTH_HANDLER(serve)
