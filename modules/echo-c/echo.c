/* Echo answers with the body that it is asked with, up to 4 KiB. */
#include "berth.h"

static void serve(void) {
  static const char headers[] = "Content-Type\0application/octet-stream";
  static char body[4096];
  uint32_t n = (uint32_t)berth_read_body(0, body, sizeof body);
  berth_respond(200, headers, sizeof headers, body, n);
}
BERTH_HANDLER(serve)
