/* Hello answers with the path that was asked. */
#include "berth.h"

static void serve(void) {
  static const char headers[] = "Content-Type\0text/plain";
  static char head[8192] = "";
  static char body[4096] = "hello ";
  uint32_t offset, length, n = berth_request_head(head, sizeof head);
  if (n > sizeof head) {
    berth_respond_text(431, "text/plain", "the request's head is too large");
    return;
  }
  memcpy(&offset, head + 16, 4); /* of the URI; see abi/httpwasm */
  memcpy(&length, head + 20, 4);
  if (length > sizeof body - 6) length = sizeof body - 6;
  memcpy(body + 6, head + offset, length);
  berth_respond(200, headers, sizeof headers, body, 6 + length);
}
BERTH_HANDLER(serve)
