;; Answers with the head of the request, as berth_http.request_head writes it.
(module
  (import "berth_http" "request_head" (func $request_head (param i32 i32) (result i32)))
  (import "http_handler" "write_body" (func $write_body (param i32 i32 i32)))
  (memory (export "memory") 2)
  (func (export "handle_request") (result i64)
    (call $write_body (i32.const 1) (i32.const 0) (call $request_head (i32.const 0) (i32.const 131072)))
    (i64.const 0)))
