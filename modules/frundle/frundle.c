/* Frundle shows the news, and which Baz it stands on. */
#include "berth.h"

static void serve(void) {
  static char page[1024];
  char baz[256];
  int64_t n = berth_get("baz", "/", baz, sizeof baz - 1);
  baz[n < 0 ? 0 : n] = 0;
  strcpy(page, "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>Frundle</title>\n<h1>News</h1>\n<p>Frundle 0.5 with ");
  strcat(page, n < 0 ? "no Baz" : baz);
  strcat(page, ".</p>\n</html>\n");
  berth_respond_text(200, "text/html; charset=utf-8", page);
}
BERTH_HANDLER(serve)
