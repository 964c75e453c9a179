/* berth.h: handlers and filters for berth in C. One header, no library.
 *
 *   #include "berth.h"
 *   static void hello(void) { berth_respond_text(200, "text/plain", "hello"); }
 *   BERTH_HANDLER(hello)
 *
 * Build: clang --target=wasm32-wasi -O2 -mexec-model=reactor -o hello.wasm hello.c
 *
 * The functions are specified in abi/berth and abi/httpwasm. Lengths are in
 * bytes; functions that fill a buffer return the length that they need, and
 * write nothing when that is more than limit. Negative results are BERTH_E….
 */
#ifndef BERTH_H
#define BERTH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define BERTH_IMPORT(module, name) __attribute__((import_module(module), import_name(name)))

enum {
  BERTH_ENOTFOUND = -1,  /* no such key, file, dependency or handle */
  BERTH_ECONFLICT = -2,  /* the key is not at the wanted revision */
  BERTH_EDENIED = -3,    /* the owner did not grant it */
  BERTH_ETOOLARGE = -4,  /* a limit, or the buffer, is too small */
  BERTH_EINVALID = -5,   /* the arguments make no sense */
  BERTH_EFAILED = -6,    /* it did not work this time */
  BERTH_ETOODEEP = -7,   /* calls are nested too deep */
  BERTH_EEXHAUSTED = -8, /* too many open responses */
};

enum { BERTH_DEBUG = -1, BERTH_INFO = 0, BERTH_WARN = 1, BERTH_ERROR = 2 };

#define BERTH_ANY_REVISION UINT64_MAX
#define BERTH_EOF (1ull << 32) /* in results of berth_read_body and berth_response_body */

/* The request. */
BERTH_IMPORT("berth_http", "request_head") uint32_t berth_request_head(void *buf, uint32_t limit);
BERTH_IMPORT("http_handler", "get_uri") uint32_t berth_get_uri(char *buf, uint32_t limit);
BERTH_IMPORT("http_handler", "get_method") uint32_t berth_get_method(char *buf, uint32_t limit);
BERTH_IMPORT("http_handler", "get_header_values") uint64_t berth_get_header_values(uint32_t kind, const char *name, uint32_t name_len, char *buf, uint32_t limit);
BERTH_IMPORT("http_handler", "read_body") uint64_t berth_read_body(uint32_t kind, void *buf, uint32_t limit);

/* The answer. headers are NUL-terminated names and values in turn. */
BERTH_IMPORT("berth_http", "respond") void berth_respond(uint32_t status, const char *headers, uint32_t headers_len, const void *body, uint32_t body_len);

/* Around the request. */
BERTH_IMPORT("berth", "config") uint32_t berth_config(char *buf, uint32_t limit);
BERTH_IMPORT("berth", "mount") uint32_t berth_mount(char *buf, uint32_t limit);
BERTH_IMPORT("berth", "log") void berth_log(int32_t level, const char *text, uint32_t len);
BERTH_IMPORT("berth", "random") void berth_random(void *buf, uint32_t len);
BERTH_IMPORT("berth", "data_get") int64_t berth_data_get(const char *key, uint32_t key_len, uint64_t *revision, void *buf, uint32_t limit);
BERTH_IMPORT("berth", "data_put") int64_t berth_data_put(const char *key, uint32_t key_len, const void *value, uint32_t value_len, uint64_t want);
BERTH_IMPORT("berth", "data_delete") int64_t berth_data_delete(const char *key, uint32_t key_len, uint64_t want);
BERTH_IMPORT("berth", "data_list") int64_t berth_data_list(const char *prefix, uint32_t prefix_len, const char *after, uint32_t after_len, void *buf, uint32_t limit);
BERTH_IMPORT("berth", "file_size") int64_t berth_file_size(const char *path, uint32_t path_len);
BERTH_IMPORT("berth", "file_read") int64_t berth_file_read(const char *path, uint32_t path_len, uint64_t offset, void *buf, uint32_t limit);
BERTH_IMPORT("berth", "call") int32_t berth_call(const char *name, uint32_t name_len, const void *request, uint32_t request_len);
BERTH_IMPORT("berth", "fetch") int32_t berth_fetch(const void *request, uint32_t request_len);
BERTH_IMPORT("berth", "response_status") int32_t berth_response_status(int32_t handle);
BERTH_IMPORT("berth", "response_head") int32_t berth_response_head(int32_t handle, void *buf, uint32_t limit);
BERTH_IMPORT("berth", "response_body") int64_t berth_response_body(int32_t handle, void *buf, uint32_t limit);
BERTH_IMPORT("berth", "response_close") int32_t berth_response_close(int32_t handle);

/* berth_respond_text answers with a text of one type. */
static inline void berth_respond_text(uint32_t status, const char *type, const char *body) {
  static const char name[] = "Content-Type";
  char headers[256];
  size_t type_len = strlen(type) + 1;
  if (sizeof name + type_len > sizeof headers) type = "text/plain", type_len = sizeof "text/plain";
  memcpy(headers, name, sizeof name);
  memcpy(headers + sizeof name, type, type_len);
  berth_respond(status, headers, (uint32_t)(sizeof name + type_len), body, (uint32_t)strlen(body));
}

/* berth_get asks a dependency for a path and writes its body to buf, as far as
 * it fits. It returns the length written, or a negative code. */
static inline int64_t berth_get(const char *dependency, const char *path, void *buf, uint32_t limit) {
  char request[512];
  uint32_t path_len = (uint32_t)strlen(path), head = 4 + path_len + 1;
  if (4 + head > sizeof request) return BERTH_ETOOLARGE;
  memcpy(request, &head, 4);
  memcpy(request + 4, "GET", 4);
  memcpy(request + 8, path, path_len + 1);
  int32_t handle = berth_call(dependency, (uint32_t)strlen(dependency), request, 4 + head);
  if (handle < 0) return handle;
  int64_t n = berth_response_body(handle, buf, limit);
  berth_response_close(handle);
  return n < 0 ? n : (int64_t)(uint32_t)n;
}

/* BERTH_HANDLER makes a function the answer to every request. */
#define BERTH_HANDLER(function)                                                      \
  __attribute__((export_name("handle_request"))) uint64_t berth_handle_request(void) { \
    function();                                                                      \
    return 0;                                                                        \
  }

/* BERTH_FILTER makes a function a filter: it returns 1 to pass the request on,
 * and 0 when it has answered. */
#define BERTH_FILTER(function)                                                       \
  __attribute__((export_name("handle_request"))) uint64_t berth_handle_request(void) { return function() ? 1 : 0; }

/* BERTH_MIGRATION makes a function int f(uint32_t from, uint32_t to) the
 * migration: it brings what is stored from one data version to another, and
 * returns 0, or anything else when that cannot be done: then nothing changes. */
#define BERTH_MIGRATION(function) \
  __attribute__((export_name("berth_migrate"))) int32_t berth_run_migration(uint32_t from, uint32_t to) { return function(from, to); }

#endif
