/* Handler answers requests. Build it with
 *
 *     BUILD
 */
#include "berth.h"
#include <stdio.h>

static void serve(void) {
  char config[1024], path[512], answer[2048];
  uint32_t config_len = berth_config(config, sizeof config - 1);
  uint32_t path_len = berth_get_uri(path, sizeof path - 1);
  config[config_len < sizeof config ? config_len : 0] = 0;
  path[path_len < sizeof path ? path_len : 0] = 0;
  snprintf(answer, sizeof answer, "Hello from %s, configured as %s\n", path, config);
  berth_respond_text(200, "text/plain; charset=utf-8", answer);
}
BERTH_HANDLER(serve)
