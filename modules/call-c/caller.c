/* Caller sends 1 KiB to echo and takes 1 KiB back, as often as the last
 * segment of the path says. */
#include "berth.h"

static void serve(void) {
  static const char head[] = "\7\0\0\0POST\0/"; /* with the NUL at its end */
  static char request[sizeof head + 1024], body[2048], uri[256];
  uint32_t n = berth_get_uri(uri, sizeof uri);
  int times = 0;
  if (n > sizeof uri) n = 0;
  for (uint32_t i = 0; i < n; i++) times = uri[i] == '/' ? 0 : times * 10 + (uri[i] - '0');
  memcpy(request, head, sizeof head);
  memset(request + sizeof head, 'x', 1024);
  for (int i = 0; i < times; i++) {
    int32_t handle = berth_call("echo", 4, request, sizeof request);
    if (handle < 0 || (uint32_t)berth_response_body(handle, body, sizeof body) != 1024 || body[1023] != 'x') {
      berth_respond_text(500, "text/plain", "echo did not answer");
      return;
    }
    berth_response_close(handle);
  }
  berth_respond_text(200, "text/plain", "hello, all calls were answered");
}
BERTH_HANDLER(serve)
