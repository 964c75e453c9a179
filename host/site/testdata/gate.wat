;; A filter that lets nobody pass.
(module
  (import "http_handler" "set_status_code" (func $set_status_code (param i32)))
  (import "http_handler" "write_body" (func $write_body (param i32 i32 i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "keep out")
  (func (export "handle_request") (result i64)
    (call $set_status_code (i32.const 401))
    (call $write_body (i32.const 1) (i32.const 0) (i32.const 8))
    (i64.const 0)))
