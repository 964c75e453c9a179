/* Shape as a CGI program: it tells what is stored in the key "shape", which
 * its migration writes. It cannot migrate to version 9. */
#include <stdio.h>
#include <string.h>
#include "../../../../sdk/c/berth.h"

int main(int argc, char **argv) {
  char text[64];
  if (argc == 4 && !strcmp(argv[1], "migrate")) {
    if (!strcmp(argv[3], "9")) return 3;
    int length = snprintf(text, sizeof text, "%s to %s", argv[2], argv[3]);
    return berth_data_put("shape", 5, text, (uint32_t)length, BERTH_ANY_REVISION) < 0;
  }
  int64_t n = berth_data_get("shape", 5, 0, text, sizeof text - 1);
  text[n < 0 ? 0 : n] = 0;
  printf("Content-Type: text/plain\n\nstored: %s\n", text);
  return 0;
}
