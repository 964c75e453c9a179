;; A guest that answers status 200 by a number in its code.
(module $status
  (import "http_handler" "set_status_code" (func $status (param i32)))
  (memory (export "memory") 1)
  (func (export "handle_request") (result i64)
    (call $status (i32.const 200))
    (i64.const 0)))
