/* Baz says which version it is. */
#include "berth.h"

static void serve(void) { berth_respond_text(200, "text/plain", "Baz 2.1.0"); }
BERTH_HANDLER(serve)
