;; Sets a header field and traps.
(module
  (import "http_handler" "set_header_value" (func $set_header_value (param i32 i32 i32 i32 i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "X-Secret")
  (func $deep_inside (unreachable))
  (func (export "handle_request") (result i64)
    (call $set_header_value (i32.const 1) (i32.const 0) (i32.const 8) (i32.const 0) (i32.const 8))
    (call $deep_inside)
    (i64.const 1)))
