/* Hello is a plain program: it reads environment and standard input, and
 * prints an answer. */
#include <stdio.h>
#include <stdlib.h>

int main(void) {
  const char *path = getenv("PATH_INFO"), *length = getenv("CONTENT_LENGTH");
  printf("Content-Type: text/plain\n\nhello %s\n", path ? path : "");
  if (length)
    for (int c; (c = getchar()) != EOF;) putchar(c);
  return 0;
}
