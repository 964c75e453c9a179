;; Tries to split the answer in two.
(module
  (import "http_handler" "set_header_value" (func $set_header_value (param i32 i32 i32 i32 i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "X-A")
  (data (i32.const 16) "a\r\nX-B: b")
  (func (export "handle_request") (result i64)
    (call $set_header_value (i32.const 1) (i32.const 0) (i32.const 3) (i32.const 16) (i32.const 9))
    (i64.const 0)))
