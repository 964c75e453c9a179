/* Shape stores values in the shape of its data version, which is in its file
 * version.txt: "2:hello". /set/KEY/VALUE stores one and /get/KEY tells it. Its
 * migration rewrites all, in the way that its file migrate.txt says. */
#include "../../../../sdk/c/berth.h"

static char answer[4096], entry[64 << 10];

static char version(void) {
  char digit = '?';
  berth_file_read("version.txt", 11, 0, &digit, 1);
  return digit;
}

/* part returns the n-th part of the path, and its length. */
static const char *part(const char *uri, int n, uint32_t *length) {
  while (*uri && n > 0)
    if (*uri++ == '/') n--;
  *length = 0;
  while (uri[*length] && uri[*length] != '/') ++*length;
  return uri;
}

static void serve(void) {
  static char uri[512];
  uint32_t length = berth_get_uri(uri, sizeof uri - 1);
  uri[length < sizeof uri ? length : 0] = 0;
  uint32_t verb_len, key_len, value_len;
  const char *verb = part(uri, 2, &verb_len), *key = part(uri, 3, &key_len), *value = part(uri, 4, &value_len);
  int64_t n;
  if (verb_len == 3 && !memcmp(verb, "set", 3) && value_len < 1024) {
    answer[0] = version();
    answer[1] = ':';
    memcpy(answer + 2, value, value_len);
    n = berth_data_put(key, key_len, answer, value_len + 2, BERTH_ANY_REVISION);
    berth_respond_text(n < 0 ? 500 : 200, "text/plain", n < 0 ? "not stored" : "stored");
    return;
  }
  n = berth_data_get(key, key_len, 0, answer + 2, sizeof answer - 3);
  answer[0] = version();
  answer[1] = ' ';
  answer[n < 0 ? 2 : n + 2] = 0;
  berth_respond_text(200, "text/plain", answer);
}
BERTH_HANDLER(serve)

static int migrate(uint32_t from, uint32_t to) {
  char how[16] = "";
  berth_file_read("migrate.txt", 11, 0, how, sizeof how - 1);
  char after[1024];
  uint32_t after_len = 0;
  for (;;) {
    int64_t n = berth_data_list("", 0, after, after_len, entry, sizeof entry);
    if (n < 0) return 1;
    if (n == 0) return 0;
    for (char *e = entry; e < entry + n;) {
      uint32_t key_len, value_len;
      memcpy(&key_len, e, 4);
      memcpy(&value_len, e + 4, 4);
      char *key = e + 16, *value = key + key_len;
      if (value[0] != (char)('0' + from)) return 2;
      value[0] = (char)('0' + to);
      if (berth_data_put(key, key_len, value, value_len, BERTH_ANY_REVISION) < 0) return 3;
      memcpy(after, key, after_len = key_len);
      e = value + value_len;
      if (!strcmp(how, "fail")) return 7;
      if (!strcmp(how, "trap")) __builtin_trap();
      while (!strcmp(how, "spin")) {
      }
      if (!strcmp(how, "call")) return berth_get("part", "/", after, 16) < 0 ? 8 : 0;
    }
  }
}
BERTH_MIGRATION(migrate)
